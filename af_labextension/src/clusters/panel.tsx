import { addIcon, ReactWidget } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { useModel } from '../hooks';
import { daskIcon } from '../icons';
import { ClusterCard, ICardActions } from './card';
import type { ClustersModel } from './model';
import { mostWorkers } from './options';

/** The Dask panel: clusters and the way to a new one. */
export class DaskPanel extends ReactWidget {
  constructor(
    readonly model: ClustersModel,
    private readonly actions: ICardActions,
    private readonly create: () => void
  ) {
    super();
    this.id = 'af-dask';
    this.title.icon = daskIcon;
    this.title.caption = 'Dask: your clusters';
    this.node.dataset.af = 'dask-panel';
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'Dask');
    this.addClass('af-panel');
  }

  /** Emitted when the panel comes into sight. */
  readonly shown = new Signal<this, void>(this);

  protected override render(): JSX.Element {
    return (
      <Panel model={this.model} actions={this.actions} create={this.create} />
    );
  }

  protected override onAfterShow(): void {
    this.shown.emit();
  }
}

function Panel(props: {
  model: ClustersModel;
  actions: ICardActions;
  create: () => void;
}): JSX.Element {
  const { model, actions, create } = props;
  useModel(model);
  const ready = model.types?.available && model.types.types.length > 0;
  return (
    <>
      <div className="af-panel-head">
        <h2>Dask</h2>
        <button
          className="af-button af-mod-accent"
          data-af="new-cluster"
          disabled={!ready}
          onClick={create}
        >
          <addIcon.react tag="span" width="14px" />
          New cluster
        </button>
      </div>
      <Notice model={model} />
      <div className="af-cards">
        {model.clusters.map(cluster => (
          <ClusterCard
            key={cluster.id}
            cluster={cluster}
            onlyHere={model.isOnlyHere(cluster.id)}
            mostWorkers={mostWorkers(
              model.types?.types.find(type => type.name === cluster.type)
            )}
            actions={actions}
          />
        ))}
      </div>
    </>
  );
}

function Notice({ model }: { model: ClustersModel }): JSX.Element | null {
  const { types, problem, clusters, loaded } = model;
  if (problem) {
    return (
      <div className="af-notice af-mod-error" data-af="notice" role="alert">
        <p>{problem.message}</p>
        <button
          className="af-button"
          data-af="retry"
          onClick={() => void model.refresh()}
        >
          Try again
        </button>
      </div>
    );
  }
  if (types && (!types.available || types.types.length === 0)) {
    return (
      <p className="af-notice" data-af="notice">
        {types.message ?? 'No kind of Dask cluster is open to you here.'}
      </p>
    );
  }
  if (!loaded) {
    return (
      <p className="af-notice af-dim" role="status">
        Asking for your clusters …
      </p>
    );
  }
  if (clusters.length === 0) {
    return (
      <p className="af-notice af-dim" data-af="notice">
        No cluster runs. A new one takes a few seconds.
      </p>
    );
  }
  return null;
}
