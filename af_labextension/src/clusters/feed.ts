import { ISignal, Signal } from '@lumino/signaling';

import type { IServer } from '../tokens';

/** How the news come: not at all, soon, pushed, or asked for because no push comes through. */
export type FeedState = 'off' | 'connecting' | 'live' | 'away';

/** Where the news go. */
export interface ISink {
  /** Take what was pushed. */
  take(raw: unknown): void;
  /** Ask; failures are the sink's to tell. */
  refresh(): Promise<void>;
  /** Whether something is on its way, so that it pays to ask more often. */
  readonly changing: boolean;
}

/** Milliseconds. */
export interface ITiming {
  /** Longest wait for the first event: a proxy on the way may hold events back for ever. */
  readonly first: number;
  /** Longest silence afterwards; the server says something every 15 s. */
  readonly silence: number;
  /** How long a connection has to hold to count as one that works. */
  readonly stable: number;
  /** Pause before a new try, doubled with each failure. */
  readonly pause: number;
  readonly longestPause: number;
  /** Between two questions while no push comes through, and while something changes. */
  ask: number;
  readonly askChanging: number;
  /** How long a connection stays that nobody wants, because somebody may soon again. */
  readonly linger: number;
}

export const TIMING: ITiming = {
  first: 10_000,
  silence: 50_000,
  stable: 3_000,
  pause: 1_000,
  longestPause: 60_000,
  ask: 15_000,
  askChanging: 3_000,
  linger: 2_000
};

/**
 * Follows what the server pushes, while somebody wants to know.
 *
 * One connection; a new one after a pause when it breaks; questions only while there is none.
 */
export class Feed {
  constructor(
    private readonly server: IServer,
    private readonly sink: ISink,
    readonly timing: ITiming = { ...TIMING }
  ) {}

  /** Emitted when the state has changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get state(): FeedState {
    return this._state;
  }

  /** Say whether the news are wanted. */
  want(wanted: boolean): void {
    clearTimeout(this.lingering);
    this.lingering = undefined;
    if (wanted && !this.running) {
      this.running = new AbortController();
      void this.follow(this.running.signal);
    } else if (!wanted && this.running) {
      this.lingering = setTimeout(() => this.stop(), this.timing.linger);
    }
  }

  /** Try now, and ask: the user does not want to wait. */
  retry(): void {
    if (this._state !== 'live') {
      this.stop();
      this.want(true);
      void this.sink.refresh();
    }
  }

  dispose(): void {
    clearTimeout(this.lingering);
    this.stop();
  }

  private stop(): void {
    this.running?.abort();
    this.running = null;
    clearTimeout(this.asking);
    this.set('off');
  }

  private async follow(signal: AbortSignal): Promise<void> {
    this.set('connecting');
    let failures = 0;
    while (!signal.aborted) {
      const began = Date.now();
      const heard = await this.listen(signal);
      if (signal.aborted) {
        return;
      }
      // one that broke after it worked is tried again before anything is said about it
      const worked = heard && Date.now() - began >= this.timing.stable;
      failures = worked ? 0 : failures + 1;
      if (failures > 0) {
        this.away();
      } else {
        this.set('connecting');
      }
      await pause(this.pauseAfter(failures), signal);
    }
  }

  /** Take events until the connection ends; whether any came. */
  private async listen(signal: AbortSignal): Promise<boolean> {
    const connection = new AbortController();
    const end = () => connection.abort();
    signal.addEventListener('abort', end, { once: true });
    let alive = false;
    let heard = false;
    const overdue = () => {
      if (alive) {
        // the way is open, the server has nothing to say yet
        void this.sink.refresh();
        watchdog = setTimeout(end, this.timing.silence);
      } else {
        end();
      }
    };
    let watchdog = setTimeout(overdue, this.timing.first);
    try {
      for await (const event of this.server.events(
        'events',
        connection.signal
      )) {
        if (connection.signal.aborted) {
          break;
        }
        alive = true;
        if (event.name === 'clusters') {
          this.sink.take(JSON.parse(event.data));
          heard = true;
          this.set('live');
        }
        if (heard) {
          clearTimeout(watchdog);
          watchdog = setTimeout(end, this.timing.silence);
        }
      }
    } catch {
      // whatever it was: the questions that follow tell the user what is wrong
    } finally {
      clearTimeout(watchdog);
      signal.removeEventListener('abort', end);
      connection.abort();
    }
    return heard;
  }

  private away(): void {
    if (this._state !== 'away') {
      this.set('away');
      this.ask();
    }
  }

  private ask(): void {
    const turn = this.running;
    void this.sink.refresh().then(() => {
      if (this._state === 'away' && this.running === turn) {
        const { ask, askChanging } = this.timing;
        this.asking = setTimeout(
          () => this.ask(),
          this.sink.changing ? Math.min(ask, askChanging) : ask
        );
      }
    });
  }

  private pauseAfter(failures: number): number {
    const { pause, longestPause } = this.timing;
    const doubled = Math.min(
      pause * 2 ** Math.max(0, failures - 1),
      longestPause
    );
    // a thousand Labs behind one proxy must not come back in the same moment
    return doubled * (0.5 + Math.random() / 2);
  }

  private set(state: FeedState): void {
    if (state !== 'away') {
      clearTimeout(this.asking);
    }
    if (this._state !== state) {
      this._state = state;
      this._changed.emit();
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private _state: FeedState = 'off';
  private running: AbortController | null = null;
  private lingering: ReturnType<typeof setTimeout> | undefined;
  private asking: ReturnType<typeof setTimeout> | undefined;
}

/** Wait, at most until `signal`. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener('abort', end, { once: true });
  });
}
