/** The panes of Lab's main area that show something of a cluster. */

import type { MainAreaWidget } from '@jupyterlab/apputils';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

/**
 * What a pane shows.
 *
 * It is kept in the user's workspace, so it holds no ticket and no address: a pane that comes back
 * with the page asks for them again.
 */
export interface IPane {
  readonly kind: 'dashboard' | 'logs';
  /** Identifier of the cluster. */
  readonly cluster: string;
  /** The cluster as people know it. */
  readonly name: string;
  /** Title of the dashboard; empty for logs. */
  readonly title: string;
}

/** A pane that knows what it shows. */
export type ClusterPane = MainAreaWidget & {
  readonly shows: IPane;
  /** The user has asked for it again. */
  renew(): void;
};

/** What tells a pane from the others. */
export function paneId({ kind, cluster, title }: IPane): string {
  return `af-${kind}-${cluster}${title ? `-${title}` : ''}`;
}

/** Read what a command was given; null for anything else. */
export function readPane(args: ReadonlyPartialJSONObject): IPane | null {
  const { kind, cluster, name, title } = args;
  return (kind === 'dashboard' || kind === 'logs') &&
    typeof cluster === 'string' &&
    cluster !== ''
    ? {
        kind,
        cluster,
        name: typeof name === 'string' ? name : '',
        title: typeof title === 'string' ? title : ''
      }
    : null;
}
