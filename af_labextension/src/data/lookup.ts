import { isAbort, problemOf } from '../problem';
import type { IProblem } from '../tokens';

/** Most items of one question; the server takes no more. */
export const BATCH = 200;

/** Milliseconds that the wishes must stay the same before they are asked for. */
const DELAY = 80;

/**
 * Asks for more about the rows in sight: late, once for each, and in batches.
 *
 * One question is under way at a time. After a failure nothing is asked until `retry`, so that
 * scrolling does not hammer a server in trouble.
 */
export class Lookup<T> {
  /**
   * @param ask - asks for some items and keeps what it learns
   * @param changed - called after each answer
   */
  constructor(
    private readonly keyOf: (item: T) => string,
    private readonly ask: (
      items: readonly T[],
      signal: AbortSignal
    ) => Promise<void>,
    private readonly changed: () => void
  ) {}

  /** Why the last question failed. */
  problem: IProblem | null = null;

  /** Wish to know about these items, and no longer about those of the last call. */
  want(items: readonly T[]): void {
    this.wanted = items.filter(item => !this.known.has(this.keyOf(item)));
    this.schedule();
  }

  /**
   * Ask for one item at once, whatever failed before; a later call takes its place.
   *
   * @returns whether the answer came and nothing else was asked for meanwhile
   */
  async now(item: T): Promise<boolean> {
    this.urgent?.abort();
    const { signal } = (this.urgent = new AbortController());
    this.problem = null;
    try {
      await this.ask([item], signal);
    } catch (error) {
      if (!signal.aborted && !isAbort(error)) {
        this.problem = problemOf(error);
        this.changed();
      }
      return false;
    }
    if (signal.aborted) {
      return false;
    }
    this.known.add(this.keyOf(item));
    this.changed();
    return true;
  }

  /** Ask again after a failure. */
  retry(): void {
    this.problem = null;
    this.schedule();
    this.changed();
  }

  /** Forget everything and stop what is under way; for another list. */
  reset(): void {
    this.running?.abort();
    this.running = null;
    this.urgent?.abort();
    clearTimeout(this.timer);
    this.problem = null;
    this.wanted = [];
    this.known.clear();
  }

  private schedule(): void {
    clearTimeout(this.timer);
    if (this.wanted.length > 0 && !this.problem && !this.running) {
      this.timer = setTimeout(() => void this.run(), DELAY);
    }
  }

  private async run(): Promise<void> {
    const batch = this.wanted.slice(0, BATCH);
    const running = new AbortController();
    this.running = running;
    try {
      await this.ask(batch, running.signal);
    } catch (error) {
      if (running.signal.aborted || isAbort(error)) {
        return;
      }
      this.problem = problemOf(error);
    }
    if (running.signal.aborted) {
      return;
    }
    this.running = null;
    if (!this.problem) {
      batch.forEach(item => this.known.add(this.keyOf(item)));
    }
    this.want(this.wanted);
    this.changed();
  }

  private readonly known = new Set<string>();
  private wanted: readonly T[] = [];
  private running: AbortController | null = null;
  private urgent: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
}
