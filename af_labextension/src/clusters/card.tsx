import { closeIcon, LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { formatDuration } from '../format';
import { useNow } from '../hooks';
import { dashboardIcon, insertIcon, logsIcon, scaleIcon } from '../icons';
import type { ICardActions } from './actions';
import { Facts, Sentences, Times } from './facts';
import { Dashboards, ScaleForm } from './sections';
import type { ICluster, IQuota } from './types';
import { fullName } from './words';

/** One cluster. */
export function ClusterCard(props: {
  cluster: ICluster;
  /** The card of a cluster that the server does not know. */
  onlyHere: boolean;
  mostWorkers: number | null;
  quotas: readonly IQuota[];
  actions: ICardActions;
}): JSX.Element {
  const { cluster, onlyHere, mostWorkers, quotas, actions } = props;
  const [open, setOpen] = React.useState<Section | null>(null);
  const usable = cluster.state === 'running';
  const scalable = !onlyHere && (usable || cluster.state === 'starting');
  const over = cluster.state === 'stopped' || cluster.state === 'failed';
  return (
    <article
      className="af-card"
      data-af="cluster-card"
      data-id={cluster.id}
      data-state={cluster.state}
      data-workers={cluster.workers}
      aria-label={`${fullName(cluster)}, ${cluster.state}`}
    >
      <Head
        cluster={cluster}
        onShutdown={
          onlyHere || over || cluster.state === 'stopping'
            ? null
            : () => void actions.shutdown(cluster)
        }
      />
      {!over && <Facts cluster={cluster} />}
      {over && <Sentences cluster={cluster} />}
      {over ? (
        <OverButtons cluster={cluster} onlyHere={onlyHere} actions={actions} />
      ) : (
        <Buttons
          cluster={cluster}
          known={!onlyHere}
          usable={usable}
          scalable={scalable}
          open={open}
          onToggle={what => setOpen(open === what ? null : what)}
          actions={actions}
        />
      )}
      {/* what comes and goes stands below the buttons, which stay in their place */}
      {!over && <Times cluster={cluster} />}
      {!over && <Sentences cluster={cluster} />}
      {open === 'scale' && scalable && (
        <ScaleForm
          cluster={cluster}
          most={mostWorkers}
          quotas={quotas}
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

type Section = 'scale' | 'dashboards';

function Head(props: {
  cluster: ICluster;
  onShutdown: (() => void) | null;
}): JSX.Element {
  const { cluster, onShutdown } = props;
  const { state, title, name, site, group, image } = cluster;
  const age = useNow(10_000) - cluster.created_at;
  const place = [
    name,
    site,
    cluster.backend === 'in-lab' ? 'in this server' : group,
    image
  ].filter(Boolean);
  return (
    <header className="af-card-head">
      <span className="af-dot" data-state={state} aria-hidden="true" />
      <h3 className="af-card-title" title={fullName(cluster)}>
        <bdi>{title}</bdi>
      </h3>
      {onShutdown && (
        <button
          className="af-icon-button"
          data-af="cluster-shutdown"
          title="Shut down"
          aria-label={`Shut down ${fullName(cluster)}`}
          onClick={onShutdown}
        >
          <closeIcon.react tag="span" width="14px" />
        </button>
      )}
      <div className="af-card-state">
        {state}
        {state === 'running' && ` · ${formatDuration(age)}`}
      </div>
      {/* there from the beginning, so that the card keeps its height */}
      <div className="af-card-state" title={place.join(' · ')}>
        <bdi>{place.join(' · ') || '\u00a0'}</bdi>
      </div>
    </header>
  );
}

function Buttons(props: {
  cluster: ICluster;
  known: boolean;
  usable: boolean;
  scalable: boolean;
  open: Section | null;
  onToggle: (what: Section) => void;
  actions: ICardActions;
}): JSX.Element {
  const { cluster, known, usable, scalable, open, onToggle, actions } = props;
  return (
    <div className="af-card-buttons">
      <CardButton
        hook="cluster-insert"
        label="Code"
        title="Insert code that connects the notebook to this cluster"
        icon={insertIcon}
        disabled={!known}
        onClick={() => void actions.insert(cluster)}
      />
      <CardButton
        hook="cluster-dashboards"
        label="Dashboards"
        icon={dashboardIcon}
        disabled={!usable}
        expanded={open === 'dashboards'}
        onClick={() => onToggle('dashboards')}
      />
      <CardButton
        hook="cluster-scale"
        label="Scale"
        icon={scaleIcon}
        disabled={!scalable}
        expanded={open === 'scale'}
        onClick={() => onToggle('scale')}
      />
      <CardButton
        hook="cluster-logs"
        label="Logs"
        icon={logsIcon}
        disabled={!known}
        onClick={() => actions.openLogs(cluster)}
      />
    </div>
  );
}

/** What can be done about a cluster that is over. */
function OverButtons(props: {
  cluster: ICluster;
  onlyHere: boolean;
  actions: ICardActions;
}): JSX.Element {
  const { cluster, onlyHere, actions } = props;
  return (
    <div className="af-card-buttons">
      {onlyHere ? (
        <CardButton
          hook="cluster-again"
          label="Change …"
          title="Change what was asked for, and try again"
          onClick={() => void actions.again(cluster)}
        />
      ) : (
        <CardButton
          hook="cluster-logs"
          label="Logs"
          icon={logsIcon}
          onClick={() => actions.openLogs(cluster)}
        />
      )}
      <CardButton
        hook="cluster-dismiss"
        label="Dismiss"
        onClick={() => void actions.dismiss(cluster)}
      />
    </div>
  );
}

function CardButton(props: {
  hook: string;
  label: string;
  title?: string;
  icon?: LabIcon;
  disabled?: boolean;
  expanded?: boolean;
  onClick: () => void;
}): JSX.Element {
  return (
    <button
      className="af-button"
      data-af={props.hook}
      title={props.title}
      disabled={props.disabled}
      aria-expanded={props.expanded}
      onClick={props.onClick}
    >
      {props.icon && <props.icon.react tag="span" width="14px" />}
      {props.label}
    </button>
  );
}
