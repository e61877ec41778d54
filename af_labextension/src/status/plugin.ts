import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { Poll } from '@lumino/polling';

import { Server } from '../request';
import { followSeconds, PALETTE_CATEGORY } from '../settings';
import { StatusItem } from './item';
import { StatusModel } from './model';
import { IStatusModel } from './token';

/** The status-bar item. */
export const statusPlugin: JupyterFrontEndPlugin<StatusModel> = {
  id: 'af-labextension:status',
  description: 'Shows who you are and how long your tokens and server live.',
  autoStart: true,
  provides: IStatusModel,
  requires: [IStatusBar],
  optional: [ICommandPalette, ISettingRegistry],
  activate: (
    app: JupyterFrontEnd,
    statusBar: IStatusBar,
    palette: ICommandPalette | null,
    settings: ISettingRegistry | null
  ) => {
    const model = new StatusModel(
      new Server(app.serviceManager.serverSettings)
    );
    const item = new StatusItem(model);
    statusBar.registerStatusItem(statusPlugin.id, {
      item,
      align: 'right',
      rank: 1
    });
    const poll = new Poll({
      name: statusPlugin.id,
      factory: () => model.refresh(),
      frequency: { interval: 20_000, backoff: false },
      standby: 'when-hidden'
    });
    followSeconds(settings, statusPlugin.id, 'interval', seconds => {
      poll.frequency = { ...poll.frequency, interval: seconds * 1000 };
    });

    const command = 'af:show-status';
    app.commands.addCommand(command, {
      label: 'Show Identity, Tokens and Server',
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => item.toggleDetails()
    });
    palette?.addItem({ command, category: PALETTE_CATEGORY });
    return model;
  }
};
