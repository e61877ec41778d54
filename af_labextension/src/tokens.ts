/**
 * The interfaces of the front end: what the server extension answers (base `<base_url>af/`) and
 * what the parts of the front end ask of one another.
 *
 * Stable hooks for tests and for people who script the page: `data-af` attributes. They are kept;
 * class names are not.
 *
 * - `status-item` (`data-state`: ok, renewing, expired, error, unknown) · `status-details` ·
 *   `status-token` (`data-audience`, `data-state`) · `status-scope` · `status-command` ·
 *   `status-more` · `status-renew` · `status-stop`, `status-profile`, `status-login`
 * - `data-panel` · `source` (a tab, only where there are several sources; `data-name`: `datasets`
 *   or the door's name; `data-kind`: datasets, storage; `data-state`: idle, loading, ready, error;
 *   `aria-selected`) · `library` (a select: uproot, coffea, rdataframe) · `refresh` · `notice` (a
 *   sentence about an error or an empty list) · `waiting` (`long-wait` in it after 8 s) · `retry` · `filter` · `sort-name`, `sort-size`,
 *   `sort-modified` · `list` (`data-count`, `data-state`: loading, complete, error)
 *   - of storage: `breadcrumb` (`data-path`) · `row` (`data-name`, `data-type`: directory, file,
 *     unknown) · `row-insert`, `row-copy`
 *   - of datasets: `scope` (a select, or an input where there are very many) · `search` ·
 *     `search-type` (a select: collection, container, dataset, file) · `did-crumb` (`data-scope`,
 *     `data-name`; the first leads back to the search and has no name) · `did-row` (`data-scope`,
 *     `data-name`, `data-type`: container, dataset, file) · `insert-dataset` (on rows of datasets
 *     and in the head of an open one) · `copy-did` · `row-insert`, `row-copy`, `row-details` ·
 *     `replica` (in a row of a file: where it can be read; `data-via`: cache, direct, none;
 *     `data-rse`) · `details` (`data-scope`, `data-name`) with `detail-replica` (`data-rse`,
 *     `data-via`), `copy-url`, `copy-pfn`, `details-close` · `working` (code is being made) with
 *     `stop`
 * - `dask-panel` (`data-state`: connecting, live, away; the sentence about it is `feed`) ·
 *   `new-cluster` · `notice`, `retry` · `announce` (what a screen reader hears) · `quota`
 *   (`data-resource`, `data-scope`, `data-name`; in the panel and in the dialog, there with
 *   `data-over`)
 *   - of the dialog: `dialog-type` (one radio button a type; `data-name`; one that cannot be chosen
 *     is disabled and followed by `dialog-reason`) · `dialog-image`, `dialog-worker_cores`,
 *     `dialog-worker_memory` (GiB), `dialog-worker_gpus` and so on, by the names of the type's
 *     schema (a choice of several is a select) · `dialog-mode` (fixed, adaptive),
 *     `dialog-workers`, `dialog-minimum`, `dialog-maximum` · `dialog-problem` (`data-field`) ·
 *     `dialog-total` · `dialog-in-lab` · `dialog-create`
 *   - of a cluster: `cluster-card` (`data-id`, `data-state`, `data-workers`) · `cluster-reason`,
 *     `cluster-held`, `cluster-warning`, `cluster-token` (`data-state`: waiting, valid, expired,
 *     error), `cluster-ends` · `cluster-scale` with `cluster-scale-mode`,
 *     `cluster-scale-workers`, `cluster-scale-minimum`, `cluster-scale-maximum`,
 *     `cluster-scale-problem`, `cluster-scale-apply` · `cluster-dashboards` with
 *     `dashboard-link` (`data-title`) · `cluster-insert` · `cluster-logs` · `cluster-shutdown`
 *     with `shutdown-confirm` · `cluster-again` (ask again for one that failed),
 *     `cluster-dismiss`
 * - `dashboard-pane` (`data-title`, `data-state`: asking, shown, problem): a pane of Lab's main
 *   area, it holds one sandboxed iframe · `pane-notice` in it, `pane-reload`
 * - `memory-notice` (`data-path`: a dialog that tells why a kernel was ended) · `memory-ok`
 * - `logs-pane` (`data-cluster`, `data-state`: asking, shown, problem) · `logs-of` (a select),
 *   `logs-lines`, `logs-refresh`, `logs-copy` · `logs-text`
 */

/** An error in the words of the server. */
export interface IProblem {
  /** Stable code, lower case with dashes. */
  readonly code: string;
  /** One or two sentences for the user. */
  readonly message: string;
}

/** How the front end talks to the server extension; `request.ts` is the real one. */
export interface IServer {
  /**
   * Call an endpoint and parse the JSON answer.
   *
   * @param path - below `af/`, with its query
   * @returns the answer, `undefined` for 204
   * @throws RequestError
   */
  json<T>(path: string, options?: ICallOptions): Promise<T>;

  /**
   * Call an endpoint that answers with one JSON value a line.
   *
   * @returns batches of values, as they arrive
   * @throws RequestError
   */
  lines(path: string, signal: AbortSignal): AsyncIterable<unknown[]>;

  /**
   * Follow an endpoint that pushes events until `signal` or the server ends it.
   *
   * @returns events, as they arrive; signs of life have no name
   * @throws RequestError
   */
  events(path: string, signal: AbortSignal): AsyncIterable<IServerEvent>;
}

/** One event of a `text/event-stream`. */
export interface IServerEvent {
  /** Empty for a comment, by which a server says that it is still there. */
  readonly name: string;
  readonly data: string;
}

export interface ICallOptions {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Longest wait for the answer, in milliseconds; a minute if not given. */
  readonly timeout?: number;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

// --- status -------------------------------------------------------------------------------------

export type TokenState = 'valid' | 'refreshing' | 'expired' | 'error';

export interface IToken {
  readonly audience: string;
  readonly state: TokenState;
  /** Seconds since the epoch. */
  readonly expires_at: number | null;
  readonly message: string | null;
  /** What it may do, separated by spaces; empty where that is not known. */
  readonly scope: string;
  /** Whether storage, Rucio or programs that name no audience need it; others do not alarm. */
  readonly needed: boolean;
}

/** Where programs in terminals and notebooks find tokens. */
export interface IPrograms {
  /** The bearer-token file. */
  readonly file: string | null;
  /** The socket of oidc-agent's protocol, and the account's name there. */
  readonly socket: string | null;
  readonly account: string | null;
  readonly problem: IProblem | null;
}

/** When the server will end by itself, if nothing happens before. */
export interface IEnd {
  /** Seconds since the epoch. */
  readonly at: number;
  readonly why: 'lifetime' | 'idle' | 'gpu-idle';
  /** Length of the limit that is reached then, in seconds. */
  readonly limit: number;
  /** How long before the user is warned, in seconds. */
  readonly lead: number;
}

export interface IStatus {
  readonly identity: {
    readonly user: string;
    readonly display_name: string | null;
    readonly issuer: string | null;
    readonly groups: readonly string[];
  };
  readonly tokens: readonly IToken[];
  readonly programs: IPrograms;
  readonly server: {
    readonly expires_at: number | null;
    readonly started_at: number | null;
    readonly stop_url: string | null;
    readonly profile_url: string | null;
    /** When each of its limits will be reached, the next one first. */
    readonly ends: readonly IEnd[];
    /** Models of its graphics processors, as far as they are watched. */
    readonly gpus: readonly string[];
  };
  readonly hub: {
    readonly home_url: string | null;
    readonly login_url: string | null;
  } | null;
  readonly facility: {
    readonly name: string | null;
    readonly support: string | null;
    readonly notice: string | null;
  } | null;
  /** Why the hub's part of the answer is missing or old, if it is. */
  readonly problem?: IProblem | null;
}

// --- data ---------------------------------------------------------------------------------------

/** What inserted code reads files with. */
export type Library = 'uproot' | 'coffea' | 'rdataframe';

/** A storage endpoint the facility offers. */
export interface IDoor {
  readonly name: string;
  readonly title: string;
  readonly url: string;
}

/** What every list of the data panel can order and filter. */
export interface IEntry {
  readonly name: string;
  readonly type: string;
  /** Bytes. */
  readonly size: number | null;
  /** Seconds since the epoch, or an ISO 8601 date. */
  readonly modified?: number | string | null;
}

export interface IRow extends IEntry {
  /** `unknown` where the storage lists names only; `gone` is ours. */
  readonly type: 'directory' | 'file' | 'unknown' | 'gone';
  readonly modified: number | string | null;
  readonly url: string;
}

/** A data identifier of Rucio. Names may begin with `/` and hold `:`; they are never split. */
export interface IDid {
  readonly scope: string;
  readonly name: string;
  readonly type: 'container' | 'dataset' | 'file';
}

export interface IDidRow extends IDid {
  /** Bytes; the server calls it `bytes`. */
  readonly size: number | null;
  /** Number of files of a collection. */
  readonly files: number | null;
  /** Number of events of a file. */
  readonly events: number | null;
}

/** A place where a file lies. */
export interface IReplica {
  /** Name of the storage element in Rucio. */
  readonly rse: string;
  /** Address as Rucio knows it. */
  readonly pfn: string;
  /** Address as the Lab opens it. */
  readonly url: string;
  readonly via: 'cache' | 'direct';
  /** Name of the door it lies below, if any. */
  readonly door: string | null;
}

/** What a search of Rucio may be for. */
export type SearchType =
  'collection' | 'container' | 'dataset' | 'file' | 'all';

export type SortKey = 'name' | 'size' | 'modified';

export interface ISort {
  readonly key: SortKey;
  readonly descending: boolean;
}

// --- clusters -----------------------------------------------------------------------------------

export type * from './clusters/types';

// --- memory -------------------------------------------------------------------------------------

/** What the guard of the server's memory tells. */
export interface IMemoryNotice {
  readonly id: string;
  /** A kernel was ended; the memory is nearly full, and not by a kernel; the system killed a process. */
  readonly kind: 'ended' | 'crowded' | 'killed';
  /** The one that was ended or killed; null if none was. */
  readonly kernel: string | null;
  /** Of the notebook; null if the kernel had none. */
  readonly path: string | null;
  readonly title: string;
  readonly text: string;
  /** What to do, a sentence each. */
  readonly advice: readonly string[];
  /** Seconds since the epoch. */
  readonly when: number;
}
