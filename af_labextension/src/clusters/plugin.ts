import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, WidgetTracker } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { daskIcon } from '../icons';
import { CodeInserter } from '../notebook';
import { attempt } from '../notify';
import { Server } from '../request';
import { followSeconds, PALETTE_CATEGORY } from '../settings';
import type { Desk } from './desk';
import { ClusterPane, IPane, paneId, readPane } from './panes';
import { DaskPanel } from './panel';

const NO_ARGUMENTS = { args: { type: 'object' as const, properties: {} } };

const PANE_ARGUMENTS = {
  args: {
    type: 'object' as const,
    properties: {
      kind: { type: 'string' as const, enum: ['dashboard', 'logs'] },
      cluster: { type: 'string' as const, description: 'Its identifier.' },
      name: { type: 'string' as const, description: 'Its name, to be shown.' },
      title: { type: 'string' as const, description: 'Which dashboard.' }
    },
    required: ['kind', 'cluster']
  }
};

const SHOW = 'af:show-dask';
const MAKE = 'af:new-cluster';
const OPEN = 'af:open-cluster-pane';

/** The Dask panel in the left sidebar. */
export const clustersPlugin: JupyterFrontEndPlugin<void> = {
  id: 'af-labextension:clusters',
  description: 'Makes and shows Dask clusters.',
  autoStart: true,
  optional: [
    ICommandPalette,
    ILayoutRestorer,
    INotebookTracker,
    ISettingRegistry
  ],
  activate: (
    app: JupyterFrontEnd,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    notebooks: INotebookTracker | null,
    settings: ISettingRegistry | null
  ) => {
    const tracker = new WidgetTracker<ClusterPane>({ namespace: 'af-dask' });
    const load: () => Promise<Desk> = once(async () => {
      const { Desk } = await import(/* webpackChunkName: "dask" */ './desk');
      const desk = new Desk({
        app,
        server: new Server(app.serviceManager.serverSettings),
        inserter: new CodeInserter(app, notebooks),
        inSight: () => panel.isVisible,
        open: async pane => {
          await app.commands.execute(OPEN, { ...pane });
        }
      });
      followSeconds(settings, clustersPlugin.id, 'interval', seconds => {
        desk.feed.timing.ask = seconds * 1000;
      });
      return desk;
    });
    const panel: DaskPanel = new DaskPanel(load);
    app.shell.add(panel, 'left', { rank: 151 });
    restorer?.add(panel, panel.id);
    addCommands(app, panel, load, pane => openPane(app, tracker, load, pane));
    for (const command of [SHOW, MAKE]) {
      palette?.addItem({ command, category: PALETTE_CATEGORY });
    }
    void restorer?.restore(tracker, {
      command: OPEN,
      args: pane => ({ ...pane.shows }),
      name: pane => paneId(pane.shows)
    });
  }
};

function addCommands(
  app: JupyterFrontEnd,
  panel: DaskPanel,
  load: () => Promise<Desk>,
  open: (pane: IPane) => Promise<void>
): void {
  app.commands.addCommand(SHOW, {
    label: 'Show Dask Clusters',
    describedBy: NO_ARGUMENTS,
    execute: () => app.shell.activateById(panel.id)
  });
  app.commands.addCommand(MAKE, {
    label: 'New Dask Cluster…',
    icon: daskIcon,
    describedBy: NO_ARGUMENTS,
    execute: () => {
      app.shell.activateById(panel.id);
      return attempt(async () => (await load()).create(null));
    }
  });
  app.commands.addCommand(OPEN, {
    label: 'Open a Pane of a Dask Cluster',
    describedBy: PANE_ARGUMENTS,
    execute: async args => {
      const pane = readPane(args);
      if (pane) {
        await open(pane);
      }
    }
  });
}

/** Open a pane, or come back to it; one that is restored finds its place by its identifier. */
async function openPane(
  app: JupyterFrontEnd,
  tracker: WidgetTracker<ClusterPane>,
  load: () => Promise<Desk>,
  shows: IPane
): Promise<void> {
  const id = paneId(shows);
  const there = tracker.find(each => each.id === id);
  if (there) {
    there.renew();
  } else {
    const desk = await load();
    const pane = desk.makePane(shows);
    await tracker.add(pane);
    desk.place(pane);
  }
  app.shell.activateById(id);
}

/** Do something once, and again only after it failed. */
function once<T>(action: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | null = null;
  return () => {
    done ??= action().catch((error: unknown) => {
      done = null;
      throw error;
    });
    return done;
  };
}
