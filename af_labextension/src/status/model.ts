import { ISignal, Signal } from '@lumino/signaling';

import { problemOf } from '../problem';
import type { ICallOptions, IProblem, IServer, IStatus } from '../tokens';

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

  /** Whether a new try is under way. */
  get renewing(): boolean {
    return this._renewing;
  }

  /** Ask the server; failures become `problem`, the last good answer stays. */
  async refresh(): Promise<void> {
    await this.ask('status');
  }

  /** Let the server ask for tokens at once: the user has logged in again. */
  async renew(): Promise<void> {
    if (this._renewing) {
      return;
    }
    this._renewing = true;
    this._changed.emit();
    await this.ask('renew', { method: 'POST' });
    this._renewing = false;
    this._changed.emit();
  }

  private async ask(path: string, options?: ICallOptions): Promise<void> {
    try {
      this._status = await this.server.json<IStatus>(path, options);
      this._problem = this._status.problem ?? null;
    } catch (error) {
      this._problem = problemOf(error);
    }
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _status: IStatus | null = null;
  private _problem: IProblem | null = null;
  private _renewing = false;
}
