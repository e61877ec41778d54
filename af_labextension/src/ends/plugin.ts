import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';

import type { StatusModel } from '../status/model';
import { IStatusModel } from '../status/token';

/** Warns before the server ends by itself; of a server that never does, nothing is loaded. */
export const endsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'af-labextension:ends',
  description: 'Warns before the server is stopped, and lets one keep it.',
  autoStart: true,
  requires: [IStatusModel],
  activate: (app: JupyterFrontEnd, model: StatusModel) => {
    const begin = () => {
      if (model.status?.server.ends.length) {
        model.changed.disconnect(begin);
        void import(/* webpackChunkName: "ends" */ './watch').then(
          ({ watch }) => watch(app, model)
        );
      }
    };
    model.changed.connect(begin);
    begin();
  }
};
