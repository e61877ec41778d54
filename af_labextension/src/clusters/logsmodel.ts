import { ISignal, Signal } from '@lumino/signaling';

import { problemOf } from '../problem';
import type { IProblem } from '../tokens';
import type { ILog } from './types';

/** How many last lines can be asked for. */
export const LINES: readonly number[] = [200, 1000, 2000];

/** All parts one after the other. */
export const ALL = '';

/** The logs of a cluster, as last read. */
export class LogsModel {
  /**
   * @param ask - reads so many last lines of each part
   */
  constructor(
    private readonly ask: (lines: number) => Promise<readonly ILog[]>
  ) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  logs: readonly ILog[] = [];
  lines = 200;
  /** The part that is shown, or `ALL`. */
  part = ALL;
  loading = false;
  loaded = false;
  problem: IProblem | null = null;

  /** The text to show: a part, or all with a line about whose lines follow. */
  get text(): string {
    const shown = this.logs.filter(each => each.name === this.part);
    if (shown.length > 0) {
      return shown.map(body).join('\n');
    }
    return this.logs
      .map(each => `===== ${each.name} =====\n${body(each)}`)
      .join('\n\n');
  }

  /** Read again; what is shown stays until the answer has come. */
  async refresh(): Promise<void> {
    this.turn += 1;
    const turn = this.turn;
    this.loading = true;
    this._changed.emit();
    try {
      const logs = await this.ask(this.lines);
      if (turn === this.turn) {
        this.logs = logs;
        this.loaded = true;
        this.problem = null;
      }
    } catch (error) {
      if (turn === this.turn) {
        this.problem = problemOf(error);
      }
    }
    if (turn === this.turn) {
      this.loading = false;
      this._changed.emit();
    }
  }

  /** Show one part, or `ALL`. */
  choose(part: string): void {
    this.part = part;
    this._changed.emit();
  }

  /** Show so many last lines. */
  async askFor(lines: number): Promise<void> {
    this.lines = lines;
    await this.refresh();
  }

  private readonly _changed = new Signal<this, void>(this);
  private turn = 0;
}

function body({ text, truncated }: ILog): string {
  const lines = text.replace(/\n+$/, '');
  const rest = lines === '' ? '(nothing written yet)' : lines;
  return truncated ? `… earlier lines are left out\n${rest}` : rest;
}
