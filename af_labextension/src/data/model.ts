import { ISignal, Signal } from '@lumino/signaling';

import { isAbort, isProblem, problemOf } from '../problem';
import type { IDoor, IProblem, IRow, IServer, ISort, SortKey } from '../tokens';
import { arrange, childPath, nextSort, parentPath } from './listing';

/** Milliseconds between two drawings while rows arrive; sorting 100,000 rows takes about 100. */
const DRAW_INTERVAL = 400;

/** Where the loading of doors or of a folder stands. */
export type Loading = 'idle' | 'loading' | 'complete' | 'error';

/** The storage the user walks through: doors, one folder, and how it is shown. */
export class DataModel {
  constructor(private readonly server: IServer) {}

  /** Emitted after each change of what is to be drawn. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  doors: readonly IDoor[] = [];
  /** The door that is open; null shows the list of doors. */
  door: IDoor | null = null;
  /** The folder, relative to the door, beginning with `/`. */
  path = '/';
  loading: Loading = 'idle';
  problem: IProblem | null = null;
  sort: ISort = { key: 'name', descending: false };
  filter = '';
  /** The rows to show, in their order. */
  view: readonly IRow[] = [];
  /** Index in `view` of the row that the keyboard acts on; -1 for none. */
  current = -1;
  /** Entries of the folder that the server could not pass on. */
  leftOut = 0;

  /** Rows of the folder, with those that the filter hides. */
  get total(): number {
    return this.rows.length;
  }

  /** The row that the keyboard acts on. */
  get currentRow(): IRow | null {
    return this.view[this.current] ?? null;
  }

  /** Load the doors; a single one is opened at once. */
  async loadDoors(): Promise<void> {
    const signal = this.begin();
    try {
      const { doors } = await this.server.json<{ doors: IDoor[] }>('storage', {
        signal
      });
      this.doors = doors;
      this.loading = 'complete';
    } catch (error) {
      return this.fail(error);
    }
    const only = this.doors.length === 1 ? this.doors[0] : undefined;
    if (only) {
      return this.open(only, '/');
    }
    this._changed.emit();
  }

  /** Show the list of doors again. */
  async showDoors(): Promise<void> {
    this.door = null;
    this.clear();
    if (this.doors.length === 0) {
      return this.loadDoors();
    }
    this.begin();
    this.loading = 'complete';
    this._changed.emit();
  }

  /**
   * Go to a folder.
   *
   * @param select - name of the row to stand on, for the way back up
   */
  async open(door: IDoor, path: string, select?: string): Promise<void> {
    this.door = door;
    this.path = path;
    this.filter = '';
    this.clear();
    await this.load(select);
  }

  /** Read the folder, or the doors, again. */
  async refresh(): Promise<void> {
    if (this.door === null) {
      return this.loadDoors();
    }
    const select = this.currentRow?.name;
    this.clear();
    await this.load(select);
  }

  /** Enter a directory of this folder. */
  async enter(row: IRow): Promise<void> {
    if (this.door && row.type === 'directory') {
      await this.open(this.door, childPath(this.path, row.name));
    }
  }

  /** Go one folder up; above the root are the doors, if there are several. */
  async up(): Promise<void> {
    if (this.door && this.path !== '/') {
      const from = this.path.slice(this.path.lastIndexOf('/') + 1);
      await this.open(this.door, parentPath(this.path), from);
    } else if (this.doors.length > 1) {
      await this.showDoors();
    }
  }

  /** Sort by a column, or turn its order round. */
  sortBy(key: SortKey): void {
    this.sort = nextSort(this.sort, key);
    this.rearrange();
  }

  /** Show only rows whose name contains the text. */
  filterBy(text: string): void {
    this.filter = text;
    this.rearrange();
  }

  /** Stand on a row. */
  moveTo(index: number): void {
    this.current = Math.max(-1, Math.min(index, this.view.length - 1));
    this._changed.emit();
  }

  /** Python code that reads a file with the user's token. */
  async code(row: IRow): Promise<string> {
    const answer = await this.server.json<{ code: string }>(
      `storage/${this.address('code', childPath(this.path, row.name))}`
    );
    return answer.code;
  }

  /** Stop what is under way. */
  dispose(): void {
    this.running?.abort();
    Signal.clearData(this);
  }

  private address(what: string, path: string): string {
    const door = encodeURIComponent(this.door?.name ?? '');
    return `${door}/${what}?path=${encodeURIComponent(path)}`;
  }

  private async load(select?: string): Promise<void> {
    const signal = this.begin();
    const standOn = (name: string | undefined) => {
      if (name !== undefined && this.current < 0) {
        this.current = this.view.findIndex(row => row.name === name);
      }
    };
    let complete = false;
    let drawn = 0;
    try {
      const batches = this.server.lines(
        `storage/${this.address('list', this.path)}`,
        signal
      );
      for await (const batch of batches) {
        if (signal.aborted) {
          return;
        }
        for (const line of batch) {
          complete = this.take(line) || complete;
        }
        if (performance.now() - drawn > DRAW_INTERVAL) {
          this.rearrange();
          drawn = performance.now();
        }
      }
      if (!complete) {
        throw new Error('The list broke off before its end. Try again.');
      }
      this.loading = 'complete';
    } catch (error) {
      this.fail(error, signal);
    }
    if (!signal.aborted) {
      this.rearrange();
      standOn(select);
      this._changed.emit();
    }
  }

  /** Take one line of a listing; true for its last. */
  private take(line: unknown): boolean {
    const value = line as Partial<IRow> & {
      done?: boolean;
      left_out?: number;
      error?: unknown;
    };
    if (isProblem(value.error)) {
      // thrown as it is: problemOf() reads its code and sentence
      throw Object.assign(new Error(value.error.message), {
        code: value.error.code
      });
    }
    if (value.done) {
      this.leftOut = value.left_out ?? 0;
      return true;
    }
    this.rows.push(value as IRow);
    return false;
  }

  private rearrange(): void {
    const name = this.currentRow?.name;
    this.view = arrange(this.rows, this.sort, this.filter);
    if (name !== undefined) {
      this.current = this.view.findIndex(row => row.name === name);
    }
    this._changed.emit();
  }

  private begin(): AbortSignal {
    this.running?.abort();
    this.running = new AbortController();
    this.loading = 'loading';
    this.problem = null;
    this._changed.emit();
    return this.running.signal;
  }

  private fail(error: unknown, signal?: AbortSignal): void {
    if (isAbort(error) || signal?.aborted) {
      return;
    }
    this.loading = 'error';
    this.problem = problemOf(error);
    this._changed.emit();
  }

  private clear(): void {
    this.rows = [];
    this.view = [];
    this.current = -1;
    this.leftOut = 0;
  }

  private readonly _changed = new Signal<this, void>(this);
  private rows: IRow[] = [];
  private running: AbortController | null = null;
}
