import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Dialog, ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Poll } from '@lumino/polling';

import { HookedRenderer } from '../dialogs';
import { count } from '../format';
import { daskIcon } from '../icons';
import { CodeInserter } from '../notebook';
import { attempt } from '../notify';
import { Server } from '../request';
import { followSeconds, PALETTE_CATEGORY } from '../settings';
import type { ICluster, IClusterType, IDashboard } from '../tokens';
import type { ICardActions } from './card';
import { dashboardPane } from './dashboard';
import { askForCluster } from './dialog';
import { ClustersModel } from './model';
import { DaskPanel } from './panel';

const NO_ARGUMENTS = { args: { type: 'object' as const, properties: {} } };

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
    const model = new ClustersModel(
      new Server(app.serviceManager.serverSettings)
    );
    const actions = cardActions(app, model, new CodeInserter(app, notebooks));
    const create = async () => {
      if (!model.types) {
        await model.refresh();
      }
      const [first, ...others] = model.types?.types ?? ([] as IClusterType[]);
      const request = first && (await askForCluster([first, ...others]));
      if (request) {
        await model.create(request);
      }
    };
    const panel = new DaskPanel(model, actions, () => void create());
    app.shell.add(panel, 'left', { rank: 151 });
    restorer?.add(panel, panel.id);
    keepAsking(panel, settings);

    const show = 'af:show-dask';
    app.commands.addCommand(show, {
      label: 'Show Dask Clusters',
      describedBy: NO_ARGUMENTS,
      execute: () => app.shell.activateById(panel.id)
    });
    const make = 'af:new-cluster';
    app.commands.addCommand(make, {
      label: 'New Dask Cluster…',
      icon: daskIcon,
      describedBy: NO_ARGUMENTS,
      execute: async () => {
        app.shell.activateById(panel.id);
        await create();
      }
    });
    for (const command of [show, make]) {
      palette?.addItem({ command, category: PALETTE_CATEGORY });
    }
  }
};

/** Ask for the clusters while the panel is in sight: often while something changes. */
function keepAsking(panel: DaskPanel, settings: ISettingRegistry | null): void {
  const { model } = panel;
  const intervals = { changing: 1, quiet: 10 };
  const poll = new Poll({
    name: clustersPlugin.id,
    auto: false,
    factory: () => model.refresh(),
    frequency: { interval: intervals.quiet * 1000, backoff: false },
    standby: () => !panel.isVisible || document.hidden
  });
  const adjust = () => {
    const seconds = model.changing ? intervals.changing : intervals.quiet;
    if (poll.frequency.interval !== seconds * 1000) {
      poll.frequency = { ...poll.frequency, interval: seconds * 1000 };
      void poll.schedule({ interval: seconds * 1000 });
    }
  };
  model.changed.connect(adjust);
  panel.shown.connect(() => void poll.refresh());
  panel.disposed.connect(() => poll.dispose());
  void poll.start();
  followSeconds(settings, clustersPlugin.id, 'changingInterval', seconds => {
    intervals.changing = seconds;
    adjust();
  });
  followSeconds(settings, clustersPlugin.id, 'quietInterval', seconds => {
    intervals.quiet = seconds;
    adjust();
  });
}

function cardActions(
  app: JupyterFrontEnd,
  model: ClustersModel,
  inserter: CodeInserter
): ICardActions {
  return {
    scale: (cluster, scale) => attempt(() => model.scale(cluster.id, scale)),
    dashboards: async cluster => {
      let links: readonly IDashboard[] = [];
      await attempt(async () => {
        links = await model.dashboards(cluster.id);
      });
      return links;
    },
    openDashboard: (cluster, dashboard) =>
      void attempt(() => {
        showDashboard(app, cluster, dashboard);
        return Promise.resolve();
      }),
    insert: cluster =>
      attempt(async () => inserter.insert(await model.code(cluster.id))),
    shutdown: cluster =>
      attempt(async () => {
        if (await confirmShutdown(cluster)) {
          await model.shutdown(cluster.id);
        }
      }),
    dismiss: cluster => model.dismiss(cluster.id)
  };
}

/** Open a dashboard beside the notebook, in the same place as those already open. */
function showDashboard(
  app: JupyterFrontEnd,
  cluster: ICluster,
  dashboard: IDashboard
): void {
  const pane = dashboardPane(cluster, dashboard);
  const others = [...app.shell.widgets('main')].filter(
    each => each.node.dataset.af === pane.node.dataset.af
  );
  const ref = others.at(-1)?.id;
  app.shell.add(
    pane,
    'main',
    ref === undefined ? { mode: 'split-right' } : { mode: 'tab-after', ref }
  );
  // the address of an older pane may be over, so it is replaced
  others.find(each => each.id === pane.id)?.dispose();
  app.shell.activateById(pane.id);
}

async function confirmShutdown(cluster: ICluster): Promise<boolean> {
  const dialog = new Dialog({
    title: `Shut down ${cluster.title} ${cluster.name}?`,
    body:
      `${count(cluster.workers, 'worker')} will stop. Running computations and results that ` +
      'only the workers hold are lost; files and notebooks stay.',
    buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: 'Shut down' })],
    renderer: new HookedRenderer('shutdown-confirm')
  });
  const { button } = await dialog.launch();
  return button.accept;
}
