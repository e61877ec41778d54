import type { IEnd } from '../tokens';
import { due, isIdle, warningOf } from './words';
import type { IWarning } from './words';

/** Where warnings stand: Lab's notifications. */
export interface IBoard {
  /** Show one; the id by which it is taken away. */
  show(warning: IWarning): string;
  hide(id: string): void;
}

/** Seconds by which an end may move without a new warning. */
const SAME = 30;

/** Shows a warning for each end that is near, and takes it away when the end is not near any more. */
export class Warnings {
  constructor(private readonly board: IBoard) {}

  /** Whether one is shown that work in the page takes away. */
  get waiting(): boolean {
    return this.shown.has('idle');
  }

  /** Whether there is something to show, or something shown that activity takes away. */
  concerned(ends: readonly IEnd[], now: number): boolean {
    return due(ends, now).some(end => isIdle(end) || !this.shown.has(end.why));
  }

  /** Warn once more of what activity should have taken away: Lab closes what was answered. */
  again(): void {
    for (const [why, { id }] of this.shown) {
      if (why !== 'lifetime') {
        this.board.hide(id);
        this.shown.delete(why);
      }
    }
  }

  /**
   * Show what has to be shown now. One that the user has closed does not come again for the same end.
   *
   * @param gpus - models of the server's graphics processors
   * @param now - seconds since the epoch
   */
  update(ends: readonly IEnd[], gpus: readonly string[], now: number): void {
    const near = due(ends, now);
    for (const [why, { id, at }] of this.shown) {
      const end = near.find(each => each.why === why);
      if (!end || Math.abs(end.at - at) > SAME) {
        this.board.hide(id);
        this.shown.delete(why);
      }
    }
    for (const end of near) {
      if (!this.shown.has(end.why)) {
        const id = this.board.show(warningOf(end, gpus, now));
        this.shown.set(end.why, { id, at: end.at });
      }
    }
  }

  private readonly shown = new Map<string, { id: string; at: number }>();
}
