/** Clusters that were just asked for, until the server has answered. */

import type { ICluster, IClusterRequest, IClusterType } from './types';

/** A card for what was asked for. */
export interface IAsked {
  readonly card: ICluster;
  readonly request: IClusterRequest;
  /** Identifiers of the clusters that were there before. */
  readonly before: ReadonlySet<string>;
}

/** The card of a cluster that the server has not yet heard of. */
export function pendingCard(
  id: string,
  request: IClusterRequest,
  type: IClusterType | undefined,
  now: number
): ICluster {
  const { scale } = request;
  return {
    id,
    name: '',
    type: request.type,
    title: type?.title ?? request.type,
    site: type?.site ?? '',
    backend: type?.backend ?? 'gateway',
    state: 'pending',
    reason: null,
    workers: 0,
    wanted: scale.mode === 'fixed' ? scale.workers : scale.minimum,
    cores: 0,
    memory: 0,
    gpus: 0,
    image: null,
    group: null,
    scale,
    created_at: now,
    options: request.options,
    token: null,
    ends_at: null,
    ends_why: null,
    warning: null,
    held: null
  };
}

/**
 * The clusters of the server that have a card of their own already.
 *
 * The push about a new cluster may overtake the answer that tells its identifier; shown at once, it
 * would be there twice.
 */
export function overtaken(
  asked: readonly IAsked[],
  known: readonly ICluster[]
): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { card, request, before } of asked) {
    const own = known.find(
      each =>
        card.state === 'pending' &&
        each.type === request.type &&
        !before.has(each.id) &&
        !found.has(each.id)
    );
    if (own) {
      found.add(own.id);
    }
  }
  return found;
}
