import { statusPlugin } from './status/plugin';

export default [statusPlugin];
