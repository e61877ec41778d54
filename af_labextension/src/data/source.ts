import type { ISignal } from '@lumino/signaling';

import type { Library } from '../tokens';

/** How a source is doing, for its tab. */
export type SourceState = 'idle' | 'loading' | 'ready' | 'error';

/** What commands and the context menu act on. */
export interface ISelection {
  /** Make code that reads it; null if it cannot be read. */
  readonly code: ((library: Library) => Promise<string>) | null;
  /** Path below the door, address, data identifier: what there is to copy. */
  readonly path?: string;
  readonly url?: string;
  readonly did?: string;
}

/** One of the places where data can be found. */
export interface ISource {
  /** What the source is remembered by. */
  readonly id: string;
  /** Its name in the hooks of the page. */
  readonly name: string;
  readonly kind: 'datasets' | 'storage';
  readonly title: string;
  /** A longer title, such as its address. */
  readonly hint: string;
  readonly state: SourceState;
  /** The row one stands on. */
  readonly selection: ISelection | null;
  readonly changed: ISignal<unknown, void>;
  /** Called when the source is shown; it loads at its first time. */
  activate(): void;
  /** Read what is shown again. */
  refresh(): Promise<void>;
  /** Stop what is under way. */
  dispose(): void;
}

/** What the user asks the rest of Lab for. */
export interface IActions {
  /** Insert code into the notebook, once it is made. */
  insert(code: () => Promise<string>): void;
  /** Copy a text, and say what was copied. */
  copy(text: string, what: string): void;
}
