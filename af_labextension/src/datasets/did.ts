/** What is said about data identifiers and their replicas. Pure. */

import { count, formatBytes } from '../format';
import type { IDid, IDidRow, IReplica, SearchType } from '../tokens';

/** The kinds a search can be for. */
export const SEARCH_TYPES: ReadonlyArray<readonly [SearchType, string]> = [
  ['collection', 'Collections'],
  ['container', 'Containers'],
  ['dataset', 'Datasets'],
  ['file', 'Files']
];

/** What a search asks the server. */
export interface ISearch {
  readonly scope: string;
  readonly name: string;
  readonly type: SearchType;
}

/**
 * Make a search of what was typed.
 *
 * A text without `*` is looked for anywhere in a name. A whole identifier, `scope:name` with a known
 * scope, is taken as it is; any other colon belongs to the name.
 */
export function searchOf(
  text: string,
  scope: string,
  type: SearchType,
  scopes: readonly string[]
): ISearch {
  const typed = text.trim();
  const colon = typed.indexOf(':');
  const named = scopes.includes(typed.slice(0, Math.max(colon, 0)));
  const pattern = named ? typed.slice(colon + 1) : typed;
  const wild = pattern.includes('*');
  if (named && pattern && !wild) {
    return { scope: typed.slice(0, colon), name: pattern, type: 'all' };
  }
  return {
    scope: named ? typed.slice(0, colon) : scope,
    name: wild ? pattern : pattern ? `*${pattern}*` : '*',
    type
  };
}

/** The scope to begin with: one named like a group of the user (`/cms/higgs`), or the first. */
export function likelyScope(
  scopes: readonly string[],
  groups: readonly string[]
): string {
  const names = groups.map(group => group.split('/').filter(Boolean)[0]);
  return scopes.find(scope => names.includes(scope)) ?? scopes[0] ?? '';
}

/** A query of some values; names are quoted whole, with their slashes. */
export function query(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
    .join('&');
}

/** The identifier as people write it. */
export function didText({ scope, name }: Pick<IDid, 'scope' | 'name'>): string {
  return `${scope}:${name}`;
}

/** A row of the server in the form that lists show. */
export function didRow(line: unknown): IDidRow {
  const { scope, name, type, bytes, files, events } = line as IDid & {
    bytes?: number | null;
    files?: number | null;
    events?: number | null;
  };
  return {
    scope,
    name,
    type,
    size: bytes ?? null,
    files: files ?? null,
    events: events ?? null
  };
}

/** What is known about a row beside its name and size, such as `dataset · 12 files`. */
export function factsOf(row: IDidRow): string {
  const facts = row.type === 'file' ? [] : [row.type as string];
  if (row.files !== null) {
    facts.push(count(row.files, 'file'));
  }
  if (row.events !== null) {
    facts.push(count(row.events, 'event'));
  }
  return facts.join(' · ');
}

/** What a list holds, such as `100,000 files · 1.20 TiB`. */
export function totalOf(
  rows: number,
  bytes: number,
  kind: 'file' | 'entry'
): string {
  const size = kind === 'file' && bytes > 0 ? ` · ${formatBytes(bytes)}` : '';
  return count(rows, kind) + size;
}

/** A short mark for a place where a file can be read. */
export interface IPlaceMark {
  readonly via: 'cache' | 'direct' | 'none';
  readonly rse: string;
  readonly label: string;
  readonly title: string;
}

/** The marks of a file, best place first: at most two, the second may stand for several. */
export function marksOf(replicas: readonly IReplica[]): IPlaceMark[] {
  const marks = replicas.map(({ via, rse, url }) => ({
    via,
    rse,
    label: via === 'cache' ? 'cache' : rse,
    title: `${rse}${via === 'cache' ? ', through the cache' : ''}\n${url}`
  }));
  const [first, second, ...rest] = marks;
  if (!first) {
    const title = 'Rucio knows no place where this file can be read now.';
    return [{ via: 'none', rse: '', label: 'no replica', title }];
  }
  if (!second) {
    return [first];
  }
  if (rest.length === 0) {
    return [first, second];
  }
  const title = marks.slice(1).map(mark => mark.title);
  const label = `+${rest.length + 1}`;
  return [first, { ...second, label, title: title.join('\n') }];
}
