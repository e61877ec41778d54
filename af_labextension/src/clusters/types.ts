/** What the server extension answers about Dask clusters. */

import type { IProblem } from '../tokens';

export type ClusterState =
  'pending' | 'starting' | 'running' | 'stopping' | 'stopped' | 'failed';

export type Scale =
  | { readonly mode: 'fixed'; readonly workers: number }
  | {
      readonly mode: 'adaptive';
      readonly minimum: number;
      readonly maximum: number;
    };

/** How the token on a cluster's workers is. */
export interface IClusterToken {
  readonly state: 'waiting' | 'valid' | 'error';
  /** Seconds since the epoch. */
  readonly expires_at: number | null;
  readonly message: string | null;
}

/** Where clusters live: behind the facility's gateway, or in the user's own server. */
export type Backend = 'gateway' | 'in-lab';

export interface ICluster {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly title: string;
  readonly site: string;
  readonly backend: Backend;
  readonly state: ClusterState;
  readonly reason: string | null;
  /** Workers that answer now. */
  readonly workers: number;
  readonly wanted: number | null;
  /** Cores, bytes of memory and GPUs of the workers that answer now. */
  readonly cores: number;
  readonly memory: number;
  readonly gpus: number;
  readonly image: string | null;
  /** The group whose quota it uses. */
  readonly group: string | null;
  readonly scale: Scale | null;
  /** Seconds since the epoch. */
  readonly created_at: number;
  readonly options: Readonly<Record<string, unknown>>;
  /** Null for a cluster that gets none. */
  readonly token: IClusterToken | null;
  /** Seconds since the epoch. */
  readonly ends_at: number | null;
  readonly ends_why: 'idle' | 'lifetime' | null;
  /** What the server says about an end that is near. */
  readonly warning: string | null;
  /** Why fewer workers run than are wanted, if a quota is the reason. */
  readonly held: string | null;
}

export type Resource = 'clusters' | 'workers' | 'cores' | 'memory' | 'gpus';

/** A limit on what the user, or a group of the user, may have at once. */
export interface IQuota {
  readonly scope: 'user' | 'group';
  readonly name: string;
  readonly resource: Resource;
  readonly used: number;
  readonly limit: number;
}

/** Everything about the user's clusters at one moment. */
export interface ISnapshot {
  readonly clusters: readonly ICluster[];
  /** Null where the answer does not tell. */
  readonly quotas: readonly IQuota[] | null;
  /** Why a part of the clusters may be missing or old, if it is so. */
  readonly problem: IProblem | null;
}

/** The part of JSON Schema that an option of a cluster uses. */
export interface IOptionSchema {
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly multipleOf?: number;
  readonly default?: unknown;
  readonly enum?: ReadonlyArray<number | string>;
  /** `bytes` for amounts of memory, which are shown as GiB. */
  readonly 'x-unit'?: string;
  /** Titles of the values of `enum`, in its order or by value. */
  readonly 'x-titles'?: readonly string[] | Readonly<Record<string, string>>;
  /** For `scale` only: the schemas of the two modes. */
  readonly oneOf?: ReadonlyArray<{
    readonly properties?: Readonly<Record<string, IOptionSchema>>;
  }>;
}

export interface IClusterType {
  readonly name: string;
  readonly title: string;
  readonly site: string;
  readonly description: string | null;
  readonly backend: Backend;
  readonly options: {
    /** By option name; `scale` holds the default and the bounds of the number of workers. */
    readonly properties?: Readonly<Record<string, IOptionSchema>>;
  };
  readonly available: boolean;
  /** Why it is not available. */
  readonly reason: string | null;
}

export interface IClusterTypes {
  readonly types: readonly IClusterType[];
  readonly available: boolean;
  readonly message: string | null;
  readonly quotas: readonly IQuota[];
}

export interface IClusterRequest {
  readonly type: string;
  readonly options: Readonly<Record<string, number | string | boolean>>;
  readonly scale: Scale;
}

export interface IDashboard {
  readonly title: string;
  readonly url: string;
}

/** The last lines that a scheduler or a worker wrote. */
export interface ILog {
  readonly name: string;
  readonly text: string;
  /** Whether older lines were left out. */
  readonly truncated: boolean;
}
