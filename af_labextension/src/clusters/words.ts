/** What a card and a screen reader say about clusters. Pure; time is an argument. */

import { count, formatDuration, formatMemory } from '../format';
import type { ICluster, IClusterToken } from './types';

/** Seconds before its end from which a cluster's time is counted down by the second. */
export const SOON = 10 * 60;

/** Title and name: what tells a cluster from another. */
export function fullName(cluster: ICluster): string {
  return [cluster.title, cluster.name].filter(Boolean).join(' ');
}

/** A time that is almost over: `9:05`. */
export function countdown(seconds: number): string {
  const total = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(total / 60)}:${String(total % 60).padStart(2, '0')}`;
}

/** When and why a cluster will end by itself; null if nothing is known. */
export function ending(
  cluster: ICluster,
  now: number
): { readonly text: string; readonly soon: boolean } | null {
  const { ends_at, ends_why, state } = cluster;
  if (ends_at === null || (state !== 'running' && state !== 'starting')) {
    return null;
  }
  const seconds = ends_at - now;
  const soon = seconds < SOON;
  const when =
    seconds <= 0
      ? 'now'
      : `in ${soon ? countdown(seconds) : formatDuration(seconds)}`;
  const text =
    ends_why === 'idle'
      ? `Without work it ends ${when}`
      : ends_why === 'lifetime'
        ? `Its lifetime ends ${when}`
        : `Ends ${when}`;
  return { text, soon };
}

/** How the token on the workers is now. */
export function tokenWords(
  token: IClusterToken,
  now: number
): { readonly state: 'waiting' | 'valid' | 'expired' | 'error'; text: string } {
  const { state, expires_at, message } = token;
  const over = expires_at !== null && expires_at <= now;
  if (state === 'error') {
    const rest =
      expires_at === null || over
        ? 'No valid token on the workers'
        : `Token not renewed, ${formatDuration(expires_at - now)} left`;
    return { state, text: message ? `${rest}: ${message}` : rest };
  }
  if (state === 'waiting') {
    return { state, text: 'Token on its way' };
  }
  if (over) {
    return { state: 'expired', text: 'Token over' };
  }
  return {
    state,
    text:
      expires_at === null
        ? 'Token fresh'
        : `Token fresh, ${formatDuration(expires_at - now)} left`
  };
}

/** What is lost when a cluster is shut down. */
export function lossInWords(cluster: ICluster): string {
  const parts = [
    count(cluster.workers, 'worker'),
    cluster.cores > 0 ? count(cluster.cores, 'core') : '',
    cluster.memory > 0 ? `${formatMemory(cluster.memory)} of memory` : '',
    cluster.gpus > 0 ? count(cluster.gpus, 'GPU') : ''
  ].filter(Boolean);
  return (
    `${parts.join(', ')} will stop, for every notebook that uses them. ` +
    'Running computations and results that only the workers hold are lost; ' +
    'files and notebooks stay.'
  );
}

/**
 * What has happened between two moments, in sentences for a screen reader.
 *
 * States, and whether all workers are there; not each worker that comes.
 */
export function news(
  before: readonly ICluster[],
  after: readonly ICluster[],
  same: (cluster: ICluster) => string
): string[] {
  const known = new Map(before.map(each => [same(each), each]));
  const found = after.flatMap(each => {
    const old = known.get(same(each));
    known.delete(same(each));
    return changes(old, each);
  });
  return [
    ...found,
    ...[...known.values()].map(each => `${fullName(each)}: over.`)
  ];
}

function changes(old: ICluster | undefined, now: ICluster): string[] {
  const name = fullName(now);
  const said: string[] = [];
  if (old?.state !== now.state) {
    said.push(
      now.reason
        ? `${name}: ${now.state}. ${now.reason}`
        : `${name}: ${now.state}.`
    );
  }
  if (complete(now) && !(old && complete(old))) {
    said.push(`${name}: ${count(now.workers, 'worker')} ready.`);
  }
  for (const what of ['held', 'warning'] as const) {
    if (now[what] && !old?.[what]) {
      said.push(`${name}: ${now[what]}`);
    }
  }
  return said;
}

function complete(cluster: ICluster): boolean {
  const { state, workers, wanted } = cluster;
  return state === 'running' && workers > 0 && workers === wanted;
}
