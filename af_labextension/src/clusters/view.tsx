/** The content of the Dask panel. */

import { addIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { useModel } from '../hooks';
import { daskIcon } from '../icons';
import type { ICardActions } from './actions';
import { ClusterCard } from './card';
import type { Feed } from './feed';
import type { ClustersModel } from './model';
import { QuotaSummary } from './quotas';
import { mostWorkers } from './schema';
import { news } from './words';

/** Clusters, the way to a new one, and what is left of the quotas. */
export function DaskView(props: {
  model: ClustersModel;
  feed: Feed;
  actions: ICardActions;
  create: () => void;
}): JSX.Element {
  const { model, feed, actions, create } = props;
  useModel(model);
  const ready = (model.types?.types.length ?? 0) > 0;
  return (
    <KeepFocus>
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
      <Notice model={model} feed={feed} />
      <div className="af-cards">
        {model.clusters.map(cluster => (
          <ClusterCard
            key={model.keyOf(cluster)}
            cluster={cluster}
            onlyHere={model.requestOf(cluster.id) !== null}
            mostWorkers={mostWorkers(
              model.types?.types.find(type => type.name === cluster.type)
            )}
            quotas={model.quotas}
            actions={actions}
          />
        ))}
      </div>
      <QuotaSummary quotas={model.quotas} />
      <FeedLine feed={feed} />
      <Announcer model={model} />
    </KeepFocus>
  );
}

/** Keeps the keyboard in the panel when the button that has it goes away with its card. */
function KeepFocus(props: { children: React.ReactNode }): JSX.Element {
  const node = React.useRef<HTMLDivElement>(null);
  const inside = node.current?.contains(document.activeElement) ?? false;
  React.useLayoutEffect(() => {
    if (inside && document.activeElement === document.body) {
      node.current
        ?.querySelector<HTMLElement>('[data-af="new-cluster"]')
        ?.focus();
    }
  });
  return (
    <div ref={node} className="af-panel-body">
      {props.children}
    </div>
  );
}

function Notice(props: {
  model: ClustersModel;
  feed: Feed;
}): JSX.Element | null {
  const { model, feed } = props;
  const { types, problem, clusters, loaded } = model;
  if (problem) {
    return (
      <div className="af-notice af-mod-error" data-af="notice" role="alert">
        <p>{problem.message}</p>
        <button
          className="af-button"
          data-af="retry"
          onClick={() => {
            feed.retry();
            void model.refreshTypes();
          }}
        >
          Try again
        </button>
      </div>
    );
  }
  if (types && types.types.length === 0) {
    return (
      <p className="af-notice" data-af="notice">
        {types.message ?? 'No kind of Dask cluster is open to you here.'}
      </p>
    );
  }
  if (clusters.length > 0) {
    return null;
  }
  if (!loaded) {
    return (
      <p className="af-notice af-dim" role="status">
        Asking for your clusters …
      </p>
    );
  }
  return (
    <div className="af-notice af-empty" data-af="notice">
      <daskIcon.react tag="span" width="40px" />
      <p>No cluster runs.</p>
      <p className="af-dim">
        A new one takes a few seconds. Those that you make in notebooks show
        here, too.
      </p>
    </div>
  );
}

/** Whether news come by themselves: one line that is always there, so that nothing moves. */
function FeedLine({ feed }: { feed: Feed }): JSX.Element {
  useModel(feed);
  const away = feed.state === 'away';
  const seconds = Math.round(feed.timing.ask / 1000);
  return (
    <p
      className="af-feed"
      data-af="feed"
      data-state={feed.state}
      aria-live={away ? 'polite' : 'off'}
      title={
        away
          ? 'The connection by which the server tells news is away. It is tried again by itself.'
          : undefined
      }
    >
      <span
        className="af-dot"
        data-state={
          away ? 'renewing' : feed.state === 'live' ? 'ok' : 'unknown'
        }
        aria-hidden="true"
      />
      {away
        ? `No live news; asking every ${seconds} s`
        : feed.state === 'live'
          ? 'Live'
          : 'Connecting …'}
    </p>
  );
}

/** Tells screen readers what has happened to clusters. */
function Announcer({ model }: { model: ClustersModel }): JSX.Element {
  const [said, say] = React.useState('');
  React.useEffect(() => {
    let before = model.loaded ? model.clusters : null;
    const listen = () => {
      const after = model.clusters;
      const found = before ? news(before, after, model.keyOf) : [];
      before = model.loaded ? after : null;
      if (found.length > 0) {
        say(found.join(' '));
      }
    };
    model.changed.connect(listen);
    return () => {
      model.changed.disconnect(listen);
    };
  }, [model]);
  return (
    <div
      className="af-only-heard"
      data-af="announce"
      role="status"
      aria-live="polite"
    >
      {said}
    </div>
  );
}
