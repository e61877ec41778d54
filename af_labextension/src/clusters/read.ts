/**
 * From the server's JSON to values that cannot be wrong. Pure.
 *
 * Names, reasons and logs come from the user's own programs at best: whatever they hold, they are
 * texts of a bounded length here, and numbers are numbers.
 */

import { isProblem } from '../problem';
import type {
  ClusterState,
  ICluster,
  IClusterToken,
  IClusterType,
  IClusterTypes,
  IDashboard,
  ILog,
  IQuota,
  ISnapshot,
  Resource,
  Scale
} from './types';

/** Characters of a name or title; of a sentence. */
const NAME = 200;
const SENTENCE = 2000;

type Fields = Readonly<Record<string, unknown>>;

const STATES: readonly string[] = [
  'pending',
  'starting',
  'running',
  'stopping',
  'stopped',
  'failed'
] satisfies ClusterState[];

const RESOURCES: readonly string[] = [
  'clusters',
  'workers',
  'cores',
  'memory',
  'gpus'
] satisfies Resource[];

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function list<T>(value: unknown, read: (one: Fields) => T | null): T[] {
  return Array.isArray(value)
    ? value.flatMap(each => read(fields(each)) ?? [])
    : [];
}

/** A text, cut to a length; null for nothing. */
function text(value: unknown, longest: number): string | null {
  if (typeof value !== 'string' || value.trim() === '') {
    return null;
  }
  return value.length > longest ? `${value.slice(0, longest)}…` : value;
}

function amount(value: unknown): number {
  return moment(value) ?? 0;
}

/** A number that is not negative; null for anything else. */
function moment(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
    ? value
    : null;
}

/** One cluster; null for what has no identifier. */
export function readCluster(raw: Fields): ICluster | null {
  const { id, state, backend, ends_why } = raw;
  if (typeof id !== 'string' || id === '') {
    return null;
  }
  const type = text(raw['type'], NAME) ?? '';
  return {
    id,
    name: text(raw['name'], NAME) ?? '',
    type,
    title: text(raw['title'], NAME) ?? type,
    site: text(raw['site'], NAME) ?? '',
    backend: backend === 'in-lab' ? 'in-lab' : 'gateway',
    state: STATES.includes(String(state)) ? (state as ClusterState) : 'pending',
    reason: text(raw['reason'], SENTENCE),
    workers: amount(raw['workers']),
    wanted: moment(raw['wanted']),
    cores: amount(raw['cores']),
    memory: amount(raw['memory']),
    gpus: amount(raw['gpus']),
    image: text(raw['image'], NAME),
    group: text(raw['group'], NAME),
    scale: readScale(fields(raw['scale'])),
    created_at: amount(raw['created_at']),
    options: fields(raw['options']),
    token: raw['token'] ? readToken(fields(raw['token'])) : null,
    ends_at: moment(raw['ends_at']),
    ends_why: ends_why === 'idle' || ends_why === 'lifetime' ? ends_why : null,
    warning: text(raw['warning'], SENTENCE),
    held: text(raw['held'], SENTENCE)
  };
}

function readScale(raw: Fields): Scale | null {
  if (raw['mode'] === 'adaptive') {
    return {
      mode: 'adaptive',
      minimum: amount(raw['minimum']),
      maximum: amount(raw['maximum'])
    };
  }
  return raw['mode'] === 'fixed'
    ? { mode: 'fixed', workers: amount(raw['workers']) }
    : null;
}

function readToken(raw: Fields): IClusterToken {
  const { state } = raw;
  return {
    state: state === 'valid' || state === 'error' ? state : 'waiting',
    expires_at: moment(raw['expires_at']),
    message: text(raw['message'], SENTENCE)
  };
}

function readQuota(raw: Fields): IQuota | null {
  const limit = moment(raw['limit']);
  const { resource } = raw;
  if (limit === null || !RESOURCES.includes(String(resource))) {
    return null;
  }
  return {
    scope: raw['scope'] === 'group' ? 'group' : 'user',
    name: text(raw['name'], NAME) ?? '',
    resource: resource as Resource,
    used: amount(raw['used']),
    limit
  };
}

/** What an event or a list of clusters tells. */
export function readSnapshot(raw: unknown): ISnapshot {
  const { clusters, quotas, problem } = fields(raw);
  return {
    clusters: list(clusters, readCluster),
    quotas: Array.isArray(quotas) ? list(quotas, readQuota) : null,
    problem: isProblem(problem)
      ? { code: problem.code, message: problem.message.slice(0, SENTENCE) }
      : null
  };
}

function readType(raw: Fields): IClusterType | null {
  const name = text(raw['name'], NAME);
  if (name === null) {
    return null;
  }
  return {
    name,
    title: text(raw['title'], NAME) ?? name,
    site: text(raw['site'], NAME) ?? '',
    description: text(raw['description'], SENTENCE),
    backend: raw['backend'] === 'in-lab' ? 'in-lab' : 'gateway',
    options: fields(raw['options']),
    // a server of before types could be away does not say so
    available: raw['available'] !== false,
    reason: text(raw['reason'], SENTENCE)
  };
}

/** The types of clusters. */
export function readTypes(raw: unknown): IClusterTypes {
  const { types, available, message, quotas } = fields(raw);
  return {
    types: list(types, readType),
    available: available === true,
    message: text(message, SENTENCE),
    quotas: list(quotas, readQuota)
  };
}

/** The dashboards of a cluster. */
export function readDashboards(raw: unknown): IDashboard[] {
  return list(fields(raw)['links'], one => {
    const title = text(one['title'], NAME);
    const { url } = one;
    return title !== null && typeof url === 'string' ? { title, url } : null;
  });
}

// colours and moves of the cursor, which mean something in a terminal only
const ESC = String.fromCharCode(27);
const BELL = String.fromCharCode(7);
const ESCAPES = new RegExp(
  `${ESC}(?:\\[[0-?]*[ -/]*[@-~]|\\][^${BELL}${ESC}]*(?:${BELL}|${ESC}\\\\)|.)`,
  'g'
);

/** The logs of a cluster. */
export function readLogs(raw: unknown): ILog[] {
  return list(fields(raw)['logs'], one => ({
    name: text(one['name'], NAME) ?? 'log',
    text:
      typeof one['text'] === 'string' ? one['text'].replace(ESCAPES, '') : '',
    truncated: one['truncated'] === true
  }));
}
