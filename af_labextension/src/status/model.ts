import { ISignal, Signal } from '@lumino/signaling';

import { problemOf } from '../problem';
import type { IProblem, IServer, IStatus } from '../tokens';

/** Who the user is and how long token and server live, as last heard. */
export class StatusModel {
  constructor(private readonly server: IServer) {}

  /** Emitted after each answer. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The last good answer. */
  get status(): IStatus | null {
    return this._status;
  }

  /** Why the last question failed, if it did. */
  get problem(): IProblem | null {
    return this._problem;
  }

  /** Ask the server; failures become `problem`, the last good answer stays. */
  async refresh(): Promise<void> {
    try {
      this._status = await this.server.json<IStatus>('status');
      this._problem = this._status.problem ?? null;
    } catch (error) {
      this._problem = problemOf(error);
    }
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _status: IStatus | null = null;
  private _problem: IProblem | null = null;
}
