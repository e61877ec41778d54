import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { copyIcon } from '@jupyterlab/ui-components';

import { insertIcon } from '../icons';
import { CodeInserter } from '../notebook';
import { attempt, copyText } from '../notify';
import { Server } from '../request';
import { PALETTE_CATEGORY } from '../settings';
import { LIBRARIES, Preferences } from './preferences';
import type { IActions } from './source';
import { DataPanel } from './widget';

const NO_ARGUMENTS = { args: { type: 'object' as const, properties: {} } };

/** What can be copied of a row. */
const TEXTS = [
  ['url', 'URL'],
  ['path', 'Path'],
  ['did', 'Identifier']
] as const;

/** The data panel in the left sidebar. */
export const dataPlugin: JupyterFrontEndPlugin<void> = {
  id: 'af-labextension:data',
  description: 'Browses the datasets and the storage of the facility.',
  autoStart: true,
  optional: [
    ICommandPalette,
    ILayoutRestorer,
    INotebookTracker,
    ISettingRegistry,
    IStateDB
  ],
  activate: (
    app: JupyterFrontEnd,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    notebooks: INotebookTracker | null,
    settings: ISettingRegistry | null,
    state: IStateDB | null
  ) => {
    const server = new Server(app.serviceManager.serverSettings);
    const preferences = new Preferences(settings, state);
    const inserter = new CodeInserter(app, notebooks);
    const actions: IActions = {
      insert: code => void attempt(async () => inserter.insert(await code())),
      copy: copyText
    };
    const panel = new DataPanel(server, preferences, actions);
    app.shell.add(panel, 'left', { rank: 150 });
    restorer?.add(panel, panel.id);

    const show = 'af:show-data';
    app.commands.addCommand(show, {
      label: 'Show Data',
      describedBy: NO_ARGUMENTS,
      execute: () => app.shell.activateById(panel.id)
    });
    palette?.addItem({ command: show, category: PALETTE_CATEGORY });
    addRowCommands(app, panel, preferences, actions);
  }
};

/** The commands of the context menu of a row. */
function addRowCommands(
  app: JupyterFrontEnd,
  panel: DataPanel,
  preferences: Preferences,
  actions: IActions
): void {
  const names: string[] = [];
  const add = (
    name: string,
    options: Parameters<typeof app.commands.addCommand>[1]
  ) => {
    app.commands.addCommand(name, { describedBy: NO_ARGUMENTS, ...options });
    names.push(name);
  };
  for (const [library, title] of LIBRARIES) {
    add(`af:insert-${library}`, {
      label: `Insert Code for ${title}`,
      caption: 'Insert code that reads this below the active cell',
      icon: insertIcon,
      isVisible: () => !!panel.selection?.code,
      execute: () => {
        const code = panel.selection?.code;
        if (code) {
          preferences.choose(library);
          actions.insert(() => code(library));
        }
      }
    });
  }
  for (const [key, what] of TEXTS) {
    add(`af:copy-${key}`, {
      label: `Copy ${what}`,
      icon: copyIcon,
      isVisible: () => !!panel.selection?.[key],
      execute: () => {
        const text = panel.selection?.[key];
        if (text) {
          actions.copy(text, what);
        }
      }
    });
  }
  names.forEach((command, rank) => {
    app.contextMenu.addItem({ command, rank, selector: '.af-row' });
  });
}
