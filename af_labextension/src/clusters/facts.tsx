import * as React from 'react';

import { formatDate, formatMemory } from '../format';
import { useNow } from '../hooks';
import type { ICluster } from './types';
import { ending, SOON, tokenWords } from './words';

/** What a cluster has now. */
export function Facts({ cluster }: { cluster: ICluster }): JSX.Element {
  const { workers, wanted, scale, gpus, options } = cluster;
  const withGpus = gpus > 0 || Number(options['worker_gpus'] ?? 0) > 0;
  return (
    <>
      <dl className="af-facts">
        <Fact title="Workers">
          {workers.toLocaleString('en')}
          {wanted !== null && wanted !== workers && (
            <span className="af-dim"> of {wanted.toLocaleString('en')}</span>
          )}
          {scale?.mode === 'adaptive' && (
            <span
              className="af-dim"
              title={`Adaptive: ${scale.minimum} to ${scale.maximum} workers, as the work needs`}
            >
              {' '}
              ({scale.minimum}–{scale.maximum})
            </span>
          )}
        </Fact>
        <Fact title="Cores">{cluster.cores.toLocaleString('en')}</Fact>
        <Fact title="Memory">
          {cluster.memory > 0 ? formatMemory(cluster.memory) : '0'}
        </Fact>
        {withGpus && <Fact title="GPUs">{gpus.toLocaleString('en')}</Fact>}
      </dl>
      <Meter cluster={cluster} />
    </>
  );
}

function Fact(props: {
  title: string;
  children: React.ReactNode;
}): JSX.Element {
  return (
    <div>
      <dt>{props.title}</dt>
      <dd>{props.children}</dd>
    </div>
  );
}

/** How many of the wanted workers are there. */
function Meter({ cluster }: { cluster: ICluster }): JSX.Element {
  const { workers, wanted, scale } = cluster;
  const whole = Math.max(
    workers,
    wanted ?? 0,
    scale?.mode === 'adaptive' ? scale.maximum : 0
  );
  const share = whole > 0 ? (100 * workers) / whole : 0;
  return (
    <div className="af-bar af-meter" aria-hidden="true">
      <i style={{ width: `${share}%` }} />
    </div>
  );
}

/** How the token on the workers is, and when the cluster ends. */
export function Times({ cluster }: { cluster: ICluster }): JSX.Element | null {
  const { token, ends_at } = cluster;
  const now = useNow(
    ends_at !== null && ends_at - Date.now() / 1000 < SOON + 60 ? 1000 : 10_000
  );
  const end = ending(cluster, now);
  const words =
    token && cluster.state === 'running' ? tokenWords(token, now) : null;
  if (!end && !words) {
    return null;
  }
  return (
    <div className="af-times">
      {words && (
        <p
          data-af="cluster-token"
          data-state={words.state}
          title="The token with which the workers read data"
        >
          <span
            className="af-dot"
            data-state={TOKEN_DOT[words.state]}
            aria-hidden="true"
          />
          {words.text}
        </p>
      )}
      {end && (
        <p
          data-af="cluster-ends"
          data-soon={end.soon ? '' : undefined}
          title={formatDate(ends_at)}
        >
          {end.text}
        </p>
      )}
    </div>
  );
}

const TOKEN_DOT = {
  waiting: 'renewing',
  valid: 'ok',
  expired: 'expired',
  error: 'error'
} as const;

/** What the server has to say about a cluster. */
export function Sentences({ cluster }: { cluster: ICluster }): JSX.Element {
  const { reason, held, warning, state } = cluster;
  return (
    <>
      {reason && (
        <p
          className="af-sentence"
          data-af="cluster-reason"
          data-kind={state === 'failed' ? 'error' : 'note'}
        >
          {reason}
        </p>
      )}
      {held && (
        <p className="af-sentence" data-af="cluster-held" data-kind="warning">
          {held}
        </p>
      )}
      {warning && (
        <p
          className="af-sentence"
          data-af="cluster-warning"
          data-kind="warning"
        >
          {warning}
        </p>
      )}
    </>
  );
}
