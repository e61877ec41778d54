import { clustersPlugin } from './clusters/plugin';
import { dataPlugin } from './data/plugin';
import { endsPlugin } from './ends/plugin';
import { memoryPlugin } from './memory/plugin';
import { statusPlugin } from './status/plugin';

export default [
  statusPlugin,
  dataPlugin,
  clustersPlugin,
  memoryPlugin,
  endsPlugin
];
