import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { copyIcon } from '@jupyterlab/ui-components';

import { insertIcon } from '../icons';
import { CodeInserter } from '../notebook';
import { attempt, copyText } from '../notify';
import { Server } from '../request';
import { PALETTE_CATEGORY } from '../settings';
import type { IRowActions } from './list';
import { DataModel } from './model';
import { DataPanel } from './panel';

const NO_ARGUMENTS = { args: { type: 'object' as const, properties: {} } };

/** The data panel in the left sidebar. */
export const dataPlugin: JupyterFrontEndPlugin<void> = {
  id: 'af-labextension:data',
  description: 'Browses the storage of the facility.',
  autoStart: true,
  optional: [ICommandPalette, ILayoutRestorer, INotebookTracker],
  activate: (
    app: JupyterFrontEnd,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    notebooks: INotebookTracker | null
  ) => {
    const model = new DataModel(new Server(app.serviceManager.serverSettings));
    const inserter = new CodeInserter(app, notebooks);
    const actions: IRowActions = {
      insert: row =>
        void attempt(async () => inserter.insert(await model.code(row))),
      copy: row => copyText(row.url, 'URL')
    };
    const panel = new DataPanel(model, actions);
    app.shell.add(panel, 'left', { rank: 150 });
    restorer?.add(panel, panel.id);
    addCommands(app, palette, panel, actions);
  }
};

function addCommands(
  app: JupyterFrontEnd,
  palette: ICommandPalette | null,
  panel: DataPanel,
  actions: IRowActions
): void {
  const { model } = panel;
  const show = 'af:show-data';
  app.commands.addCommand(show, {
    label: 'Show Data',
    describedBy: NO_ARGUMENTS,
    execute: () => app.shell.activateById(panel.id)
  });
  palette?.addItem({ command: show, category: PALETTE_CATEGORY });

  const insert = 'af:insert-reading-code';
  app.commands.addCommand(insert, {
    label: 'Insert Code',
    caption: 'Insert code that reads this file below the active cell',
    icon: insertIcon,
    describedBy: NO_ARGUMENTS,
    isEnabled: () => model.currentRow?.type === 'file',
    execute: () => {
      if (model.currentRow) {
        actions.insert(model.currentRow);
      }
    }
  });
  const copy = 'af:copy-url';
  app.commands.addCommand(copy, {
    label: 'Copy URL',
    icon: copyIcon,
    describedBy: NO_ARGUMENTS,
    isEnabled: () => model.currentRow !== null,
    execute: () => {
      if (model.currentRow) {
        actions.copy(model.currentRow);
      }
    }
  });
  for (const [rank, command] of [insert, copy].entries()) {
    app.contextMenu.addItem({ command, rank, selector: '.af-row' });
  }
}
