/** What is left of the quotas, beside what is asked for. Pure. */

import { count, formatMemory, GIB } from '../format';
import type { IForm } from './form';
import type { IQuota, Resource, Scale } from './types';

/** Amounts by resource. */
export type Amounts = Readonly<Record<Resource, number>>;

/** A quota beside what is asked of it. */
export interface IDemand {
  readonly quota: IQuota;
  readonly left: number;
  readonly asked: number;
  readonly over: boolean;
}

const RESOURCES: readonly Resource[] = [
  'clusters',
  'workers',
  'cores',
  'memory',
  'gpus'
];

/** What one worker takes, by the options of a form or a cluster; memory in bytes. */
export function perWorker(options: Readonly<Record<string, unknown>>): Amounts {
  const size = (name: string) => {
    const value = Number(options[name] ?? 0);
    return Number.isFinite(value) && value > 0 ? value : 0;
  };
  return {
    clusters: 0,
    workers: 1,
    cores: size('worker_cores'),
    memory: size('worker_memory'),
    gpus: size('worker_gpus')
  };
}

/** What one worker of a form takes: there memory is in GiB. */
export function perWorkerOf(form: IForm): Amounts {
  const amounts = perWorker(form.options);
  return { ...amounts, memory: amounts.memory * GIB };
}

/** What so many workers take. */
export function times(amounts: Amounts, workers: number): Amounts {
  const some = Number.isFinite(workers) && workers > 0 ? workers : 0;
  return Object.fromEntries(
    RESOURCES.map(each => [each, amounts[each] * some])
  ) as unknown as Amounts;
}

/** Most workers that a scale asks for. */
export function mostOf(scale: Scale): number {
  return scale.mode === 'fixed' ? scale.workers : scale.maximum;
}

/** What is left of a quota. */
export function left(quota: IQuota): number {
  return Math.max(0, quota.limit - quota.used);
}

/** The quota of each resource that leaves least, in a fixed order. */
export function tightest(quotas: readonly IQuota[]): IQuota[] {
  return RESOURCES.flatMap(resource => {
    const own = quotas.filter(each => each.resource === resource);
    return own.length > 0
      ? [own.reduce((a, b) => (left(b) < left(a) ? b : a))]
      : [];
  });
}

/** Each quota that limits what is asked for, the tightest of each resource. */
export function demands(quotas: readonly IQuota[], asked: Amounts): IDemand[] {
  return tightest(quotas)
    .filter(
      // a quota of GPUs does not interest who asks for none
      ({ resource }) => resource !== 'gpus' || asked.gpus > 0
    )
    .map(quota => ({
      quota,
      left: left(quota),
      asked: asked[quota.resource],
      over: asked[quota.resource] > left(quota)
    }));
}

/** How many workers of a size can start, and what sets the bound; null without a bound. */
export function fitting(
  quotas: readonly IQuota[],
  worker: Amounts
): { workers: number; quota: IQuota } | null {
  let found: { workers: number; quota: IQuota } | null = null;
  for (const quota of quotas) {
    const one = worker[quota.resource];
    if (one > 0) {
      const workers = Math.floor(left(quota) / one);
      if (found === null || workers < found.workers) {
        found = { workers, quota };
      }
    }
  }
  return found;
}

/** An amount of a resource: `20 cores`, `1 GPU`, `4 GiB of memory`. */
export function inWords(resource: Resource, value: number): string {
  switch (resource) {
    case 'memory':
      return `${formatMemory(value)} of memory`;
    case 'gpus':
      return count(value, 'GPU');
    default:
      return count(value, resource.slice(0, -1));
  }
}

/** Whose quota it is: `/cms`, or `you`. */
export function ownerOf(quota: IQuota): string {
  return quota.scope === 'group' ? quota.name : 'you';
}

/** What is left of a quota: `20 of 400 cores left for /cms`. */
export function leftInWords(quota: IQuota): string {
  const rest =
    quota.resource === 'memory'
      ? formatMemory(left(quota))
      : left(quota).toLocaleString('en');
  return `${rest} of ${inWords(quota.resource, quota.limit)} left for ${ownerOf(quota)}`;
}

/**
 * What happens when more workers are asked for than the quotas let start.
 *
 * @param more - workers asked for beyond those that run
 * @returns a sentence, or null if all can start
 */
export function shortage(
  quotas: readonly IQuota[],
  worker: Amounts,
  more: number
): string | null {
  const bound = fitting(quotas, worker);
  if (bound === null || bound.workers >= more) {
    return null;
  }
  const { workers, quota } = bound;
  return workers === 0
    ? `${leftInWords(quota)}: no worker can start now.`
    : `${leftInWords(quota)}: ${workers.toLocaleString('en')} of ${count(more, 'worker')} can start now.`;
}
