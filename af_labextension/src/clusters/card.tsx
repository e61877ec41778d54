import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { count, formatDuration, formatMemory } from '../format';
import { useNow } from '../hooks';
import type { ICluster, IDashboard, Scale } from '../tokens';
import { checkScale, scaleForm } from './options';
import { ScaleFields } from './scale';

/** What a card can ask for. Promises end when the server has answered; they never reject. */
export interface ICardActions {
  scale(cluster: ICluster, scale: Scale): Promise<void>;
  dashboards(cluster: ICluster): Promise<readonly IDashboard[]>;
  openDashboard(cluster: ICluster, dashboard: IDashboard): void;
  insert(cluster: ICluster): Promise<void>;
  shutdown(cluster: ICluster): Promise<void>;
  dismiss(cluster: ICluster): void;
}

/** One cluster. */
export function ClusterCard(props: {
  cluster: ICluster;
  /** The card of a cluster that the server does not know. */
  onlyHere: boolean;
  mostWorkers: number | null;
  actions: ICardActions;
}): JSX.Element {
  const { cluster, onlyHere, mostWorkers, actions } = props;
  const [open, setOpen] = React.useState<'scale' | 'dashboards' | null>(null);
  const usable = cluster.state === 'running';
  const scalable = usable || cluster.state === 'starting';
  const over = cluster.state === 'stopped' || cluster.state === 'failed';
  const toggle = (what: 'scale' | 'dashboards') =>
    setOpen(open === what ? null : what);
  return (
    <article
      className="af-card"
      data-af="cluster-card"
      data-id={cluster.id}
      data-state={cluster.state}
      data-workers={cluster.workers}
      aria-label={`${cluster.title} ${cluster.name}, ${cluster.state}`}
    >
      <Head
        cluster={cluster}
        onShutdown={
          onlyHere || over || cluster.state === 'stopping'
            ? null
            : () => void actions.shutdown(cluster)
        }
      />
      {cluster.reason && (
        <p
          className={`af-reason${cluster.state === 'failed' ? ' af-mod-error' : ''}`}
        >
          {cluster.reason}
        </p>
      )}
      <Facts cluster={cluster} />
      {onlyHere ? (
        cluster.state === 'failed' && (
          <div className="af-card-buttons">
            <CardButton
              hook="cluster-dismiss"
              label="Dismiss"
              onClick={() => actions.dismiss(cluster)}
            />
          </div>
        )
      ) : (
        <div className="af-card-buttons">
          <CardButton
            hook="cluster-insert"
            label="Insert code"
            disabled={over}
            onClick={() => void actions.insert(cluster)}
          />
          <CardButton
            hook="cluster-dashboards"
            label="Dashboards"
            disabled={!usable}
            expanded={open === 'dashboards'}
            onClick={() => toggle('dashboards')}
          />
          <CardButton
            hook="cluster-scale"
            label="Scale"
            disabled={!scalable}
            expanded={open === 'scale'}
            onClick={() => toggle('scale')}
          />
        </div>
      )}
      {open === 'scale' && scalable && (
        <ScaleForm
          cluster={cluster}
          most={mostWorkers}
          onApply={scale => {
            setOpen(null);
            void actions.scale(cluster, scale);
          }}
        />
      )}
      {open === 'dashboards' && usable && (
        <Dashboards cluster={cluster} actions={actions} />
      )}
    </article>
  );
}

function Head(props: {
  cluster: ICluster;
  onShutdown: (() => void) | null;
}): JSX.Element {
  const { cluster, onShutdown } = props;
  const age = useNow(10_000) - cluster.created_at;
  return (
    <>
      <header className="af-card-head">
        <span
          className="af-dot"
          data-state={cluster.state}
          aria-hidden="true"
        />
        <span className="af-card-title">{cluster.title}</span>
        {onShutdown && (
          <button
            className="af-icon-button"
            data-af="cluster-shutdown"
            title="Shut down"
            aria-label={`Shut down ${cluster.title} ${cluster.name}`}
            onClick={onShutdown}
          >
            <closeIcon.react tag="span" width="14px" />
          </button>
        )}
      </header>
      <div className="af-card-state">
        {cluster.state}
        {cluster.state === 'running' && ` · ${formatDuration(age)}`}
        {cluster.name && ` · ${cluster.name}`}
      </div>
    </>
  );
}

function Facts({ cluster }: { cluster: ICluster }): JSX.Element {
  const { workers, wanted, scale } = cluster;
  const onTheWay = wanted !== null && wanted > workers;
  return (
    <dl className="af-facts">
      <div>
        <dt>Workers</dt>
        <dd>
          {workers}
          {onTheWay && <span className="af-dim"> of {wanted}</span>}
          {scale?.mode === 'adaptive' && (
            <span className="af-dim">
              {' '}
              ({scale.minimum}–{scale.maximum})
            </span>
          )}
        </dd>
      </div>
      <div>
        <dt>Cores</dt>
        <dd>{cluster.cores}</dd>
      </div>
      <div>
        <dt>Memory</dt>
        <dd>{formatMemory(cluster.memory)}</dd>
      </div>
    </dl>
  );
}

function CardButton(props: {
  hook: string;
  label: string;
  disabled?: boolean;
  expanded?: boolean;
  onClick: () => void;
}): JSX.Element {
  return (
    <button
      className="af-button"
      data-af={props.hook}
      disabled={props.disabled}
      aria-expanded={props.expanded}
      onClick={props.onClick}
    >
      {props.label}
    </button>
  );
}

function ScaleForm(props: {
  cluster: ICluster;
  most: number | null;
  onApply: (scale: Scale) => void;
}): JSX.Element {
  const { cluster, most, onApply } = props;
  const [form, setForm] = React.useState(() =>
    scaleForm(cluster.scale, cluster.workers)
  );
  const checked = checkScale(form, most);
  return (
    <form
      className="af-card-form"
      onSubmit={event => {
        event.preventDefault();
        if ('value' in checked) {
          onApply(checked.value);
        }
      }}
    >
      <ScaleFields
        form={form}
        most={most}
        hook="cluster-scale"
        onChange={setForm}
      />
      {'problem' in checked && (
        <p className="af-mod-error">{checked.problem}</p>
      )}
      <button
        type="submit"
        className="af-button af-mod-accent"
        data-af="cluster-scale-apply"
        disabled={'problem' in checked}
      >
        {cluster.workers > 0
          ? `Scale from ${count(cluster.workers, 'worker')}`
          : 'Scale'}
      </button>
    </form>
  );
}

function Dashboards(props: {
  cluster: ICluster;
  actions: ICardActions;
}): JSX.Element {
  const { cluster, actions } = props;
  const [links, setLinks] = React.useState<readonly IDashboard[] | null>(null);
  const { id } = cluster;
  React.useEffect(() => {
    let current = true;
    void actions.dashboards(cluster).then(answer => {
      if (current) {
        setLinks(answer);
      }
    });
    return () => {
      current = false;
    };
    // the cluster's object changes with each answer of the server; its id does not
  }, [id]);
  if (links === null) {
    return <p className="af-dim">Asking for the dashboards …</p>;
  }
  if (links.length === 0) {
    return <p className="af-dim">This cluster has no dashboards now.</p>;
  }
  return (
    <div className="af-dashboards">
      {links.map(link => (
        <button
          key={link.title}
          className="af-chip"
          data-af="dashboard-link"
          data-title={link.title}
          onClick={() => actions.openDashboard(cluster, link)}
        >
          {link.title}
        </button>
      ))}
    </div>
  );
}
