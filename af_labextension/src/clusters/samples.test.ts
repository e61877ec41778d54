/** Types and clusters for unit tests. */

import { GIB } from '../format';
import { readCluster, readTypes } from './read';
import type { ICluster, IClusterType } from './types';

/** A type as the server tells it. */
export const rawType = {
  name: 'local',
  title: 'This machine',
  options: {
    properties: {
      worker_cores: {
        type: 'integer',
        title: 'Cores',
        default: 1,
        minimum: 1,
        maximum: 2
      },
      worker_memory: {
        type: 'integer',
        title: 'Memory',
        default: GIB,
        minimum: GIB / 2,
        maximum: 2 * GIB,
        multipleOf: 2 ** 20,
        'x-unit': 'bytes'
      },
      scale: {
        type: 'object',
        default: { mode: 'adaptive', minimum: 0, maximum: 3 },
        oneOf: [{ properties: { workers: { maximum: 4 } } }]
      }
    }
  }
};

/** A type, with other options if wanted. */
export function typeOf(properties?: unknown): IClusterType {
  const options = properties === undefined ? rawType.options : { properties };
  const [type] = readTypes({ types: [{ ...rawType, options }] }).types;
  if (!type) {
    throw new Error('the sample is not a type');
  }
  return type;
}

/** A cluster as the server tells it: it runs. */
export function rawCluster(
  id: string,
  more: Record<string, unknown> = {}
): Record<string, unknown> {
  return {
    id,
    name: id,
    type: 'local',
    title: 'This machine',
    state: 'running',
    reason: null,
    workers: 2,
    wanted: 2,
    cores: 2,
    memory: GIB,
    scale: { mode: 'fixed', workers: 2 },
    created_at: 1,
    options: {},
    ...more
  };
}

/** A cluster that runs. */
export function clusterOf(
  id: string,
  more: Record<string, unknown> = {}
): ICluster {
  const cluster = readCluster(rawCluster(id, more));
  if (!cluster) {
    throw new Error('the sample is not a cluster');
  }
  return cluster;
}
