/** What is behind the Dask panel: fetched when it is first needed, not at Lab's start. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog } from '@jupyterlab/apputils';
import * as React from 'react';

import { HookedRenderer } from '../dialogs';
import type { CodeInserter } from '../notebook';
import { attempt } from '../notify';
import type { IServer } from '../tokens';
import type { ICardActions } from './actions';
import { DashboardPane } from './dashboard';
import { askForCluster } from './dialog';
import { Feed } from './feed';
import { LogsPane } from './logs';
import { LogsModel } from './logsmodel';
import { ClustersModel } from './model';
import type { ClusterPane, IPane } from './panes';
import type { ICluster, IClusterRequest, IDashboard } from './types';
import { DaskView } from './view';
import { fullName, lossInWords } from './words';

/** What the desk needs of Lab. */
export interface IDeskOptions {
  readonly app: JupyterFrontEnd;
  readonly server: IServer;
  readonly inserter: CodeInserter;
  /** Whether the panel is in sight. */
  readonly inSight: () => boolean;
  /** Open a pane so that it comes back with the page. */
  readonly open: (pane: IPane) => Promise<void>;
}

/** Clusters, their news, and what can be done with them. */
export class Desk {
  constructor(private readonly options: IDeskOptions) {
    this.model = new ClustersModel(options.server);
    this.feed = new Feed(options.server, this.model);
    this.model.changed.connect(() => {
      this.follow();
      this.endPanes();
    });
    document.addEventListener('visibilitychange', this.follow);
  }

  readonly model: ClustersModel;
  readonly feed: Feed;

  /** Follow the news while the panel is in sight, or something is on its way. */
  readonly follow = (): void => {
    this.feed.want(
      !document.hidden && (this.options.inSight() || this.model.changing)
    );
  };

  /** The panel has come into sight or gone out of it. */
  shown(): void {
    this.follow();
    if (this.options.inSight() && !this.model.types) {
      void this.model.refreshTypes();
    }
  }

  dispose(): void {
    document.removeEventListener('visibilitychange', this.follow);
    this.feed.dispose();
  }

  /** The content of the panel. */
  render(): JSX.Element {
    return (
      <DaskView
        model={this.model}
        feed={this.feed}
        actions={this.actions}
        create={() => void this.create(null)}
      />
    );
  }

  /** Ask the user for a new cluster, and make it. */
  async create(start: IClusterRequest | null): Promise<void> {
    const { model } = this;
    // types may have gone away or come back; the dialog does not wait for that
    const asked = model.refreshTypes();
    if (!model.types) {
      await asked;
    }
    if (!model.types?.types.length) {
      return;
    }
    const request = await askForCluster(model, start);
    if (request) {
      await model.create(request);
    }
  }

  /** Make a pane, which asks for what it shows by itself. */
  makePane(shows: IPane): ClusterPane {
    const { model } = this;
    if (shows.kind === 'logs') {
      return new LogsPane(
        shows,
        new LogsModel(lines => model.calls.logs(shows.cluster, lines))
      );
    }
    const pane = new DashboardPane(shows, id => model.calls.dashboards(id));
    this.panes.add(pane);
    pane.disposed.connect(() => this.panes.delete(pane));
    return pane;
  }

  /** Put a pane beside the notebook, in the same place as those already open. */
  place(pane: ClusterPane): void {
    const { shell } = this.options.app;
    const ref = [...shell.widgets('main')]
      .filter(each => each.hasClass('af-pane'))
      .at(-1)?.id;
    shell.add(
      pane,
      'main',
      ref === undefined ? { mode: 'split-right' } : { mode: 'tab-after', ref }
    );
  }

  /** Tell the dashboards of clusters that were here and are over. */
  private endPanes(): void {
    const { model } = this;
    if (!model.loaded || model.problem) {
      return;
    }
    const running = new Set(
      model.clusters
        .filter(each => each.state !== 'stopped' && each.state !== 'failed')
        .map(each => each.id)
    );
    for (const pane of this.panes) {
      const { cluster } = pane.shows;
      if (this.seen.has(cluster) && !running.has(cluster)) {
        pane.end();
        this.panes.delete(pane);
      }
    }
    this.seen = running;
  }

  private readonly actions: ICardActions = {
    scale: (cluster, scale) =>
      attempt(() => this.model.scale(cluster.id, scale)),
    dashboards: async cluster => {
      let links: readonly IDashboard[] = [];
      await attempt(async () => {
        links = await this.model.calls.dashboards(cluster.id);
      });
      return links;
    },
    openDashboard: (cluster, title) =>
      void attempt(() =>
        this.options.open(paneOf(cluster, 'dashboard', title))
      ),
    openLogs: cluster =>
      void attempt(() => this.options.open(paneOf(cluster, 'logs', ''))),
    insert: cluster =>
      attempt(async () =>
        this.options.inserter.insert(await this.model.calls.code(cluster.id))
      ),
    shutdown: cluster =>
      attempt(async () => {
        if (await confirmShutdown(cluster)) {
          await this.model.shutdown(cluster.id);
        }
      }),
    dismiss: async cluster => {
      if (this.model.requestOf(cluster.id)) {
        this.model.dismiss(cluster.id);
      } else {
        await attempt(() => this.model.shutdown(cluster.id));
      }
    },
    again: cluster =>
      attempt(async () => {
        const request = this.model.requestOf(cluster.id);
        this.model.dismiss(cluster.id);
        await this.create(request);
      })
  };

  private readonly panes = new Set<DashboardPane>();
  private seen: ReadonlySet<string> = new Set();
}

function paneOf(cluster: ICluster, kind: IPane['kind'], title: string): IPane {
  const name = cluster.name || fullName(cluster);
  return { kind, cluster: cluster.id, name, title };
}

async function confirmShutdown(cluster: ICluster): Promise<boolean> {
  const dialog = new Dialog({
    title: `Shut down ${fullName(cluster)}?`,
    body: lossInWords(cluster),
    buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: 'Shut down' })],
    renderer: new HookedRenderer('shutdown-confirm')
  });
  const { button } = await dialog.launch();
  return button.accept;
}
