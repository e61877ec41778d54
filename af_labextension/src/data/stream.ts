import { isAbort, isProblem, problemOf } from '../problem';
import type { IEntry, IProblem, IServer, ISort, SortKey } from '../tokens';
import { arrange, nextSort } from './listing';

/** Milliseconds between two drawings while rows arrive. */
const DRAW_INTERVAL = 400;

/** Pause after a drawing, in times of what it took: 100,000 rows out of order take 0.3 s to sort. */
const PAUSE = 4;

/** Where the loading of a list stands. */
export type Loading = 'idle' | 'loading' | 'complete' | 'error';

/** How a list takes its rows. */
export interface IListingOptions<T> {
  /** What makes a row one of its kind in the list. */
  readonly keyOf: (row: T) => string;
  /** A row as it came from the server, in the form the list shows. */
  readonly read: (line: unknown) => T;
  /** Called after each change of what is to be drawn. */
  readonly changed: () => void;
}

/** A list that streams in, and how it is shown: order, filter, the row one stands on. */
export class Listing<T extends IEntry> {
  constructor(
    private readonly server: IServer,
    private readonly options: IListingOptions<T>
  ) {}

  loading: Loading = 'idle';
  problem: IProblem | null = null;
  sort: ISort = { key: 'name', descending: false };
  filter = '';
  /** Whether directories and containers come first. */
  grouped = true;
  /** The rows to show, in their order. */
  view: readonly T[] = [];
  /** Index in `view` of the row that the keyboard acts on; -1 for none. */
  current = -1;
  /** Entries that the server could not pass on. */
  leftOut = 0;
  /** Whether the server stopped at its limit. */
  truncated = false;
  /** Bytes of all rows whose size is known. */
  bytes = 0;
  /** Pixels scrolled, kept for the way back. */
  top = 0;

  /** All rows, with those that the filter hides, as they came. */
  get rows(): readonly T[] {
    return this.all;
  }

  get total(): number {
    return this.all.length;
  }

  /** The row that the keyboard acts on. */
  get currentRow(): T | null {
    return this.view[this.current] ?? null;
  }

  keyOf(row: T): string {
    return this.options.keyOf(row);
  }

  /**
   * Read the list from the beginning; what is under way is stopped.
   *
   * @param path - endpoint below `af/`
   * @param select - key of the row to stand on, for the way back up
   */
  async load(path: string, select?: string): Promise<void> {
    this.clear();
    const signal = this.begin();
    try {
      const complete = await this.read(path, signal);
      if (signal.aborted) {
        return;
      }
      if (!complete) {
        throw new Error('The list broke off before its end. Try again.');
      }
      this.loading = 'complete';
    } catch (error) {
      if (isAbort(error) || signal.aborted) {
        return;
      }
      this.loading = 'error';
      this.problem = problemOf(error);
    }
    this.rearrange();
    if (select !== undefined && this.current < 0) {
      this.current = this.view.findIndex(row => this.keyOf(row) === select);
      this.options.changed();
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
    this.options.changed();
  }

  /** Order the rows again, and keep standing on the same one. */
  rearrange(): void {
    const row = this.currentRow;
    this.view = arrange(this.all, this.sort, this.filter, this.grouped);
    this.current = row ? this.view.indexOf(row) : -1;
    this.options.changed();
  }

  /** Stop what is under way. */
  stop(): void {
    this.running?.abort();
  }

  /** Forget the rows. */
  clear(): void {
    this.stop();
    this.all = [];
    this.view = [];
    this.current = -1;
    this.leftOut = 0;
    this.truncated = false;
    this.bytes = 0;
    this.top = 0;
    this.grouped = true;
  }

  private begin(): AbortSignal {
    this.running = new AbortController();
    this.loading = 'loading';
    this.problem = null;
    this.options.changed();
    return this.running.signal;
  }

  /** Take all lines; true if the last one came. */
  private async read(path: string, signal: AbortSignal): Promise<boolean> {
    let complete = false;
    let next = 0;
    for await (const batch of this.server.lines(path, signal)) {
      if (signal.aborted) {
        return false;
      }
      for (const line of batch) {
        complete = this.take(line) || complete;
      }
      const now = performance.now();
      if (now >= next) {
        this.rearrange();
        const took = performance.now() - now;
        next = now + took + Math.max(DRAW_INTERVAL, PAUSE * took);
      }
    }
    return complete;
  }

  /** Take one line; true for the last. */
  private take(line: unknown): boolean {
    const value = line as {
      done?: boolean;
      left_out?: number;
      truncated?: boolean;
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
      this.truncated = value.truncated ?? false;
      return true;
    }
    const row = this.options.read(line);
    this.bytes += row.size ?? 0;
    this.all.push(row);
    return false;
  }

  private all: T[] = [];
  private running: AbortController | null = null;
}
