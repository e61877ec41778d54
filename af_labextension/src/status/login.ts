import { now, needsLogin } from './summary';
import type { StatusModel } from './model';

/** Milliseconds between two looks; the user may keep both windows in sight. */
const INTERVAL = 5_000;

/** Milliseconds after which a login is taken for given up; a click in the panel still works. */
const LONGEST = 15 * 60_000;

/**
 * Wait while the user logs in elsewhere, and go on at once.
 *
 * It looks when the user comes back to this page, and every few seconds. The panel may be closed
 * meanwhile.
 */
export class LoginWatch {
  constructor(private readonly model: StatusModel) {}

  /** Begin to wait, anew if it does already. */
  start(): void {
    this.stop();
    this.timer = window.setInterval(this.look, INTERVAL);
    this.last = window.setTimeout(() => this.stop(), LONGEST);
    document.addEventListener('visibilitychange', this.look);
    window.addEventListener('focus', this.look);
  }

  /** Wait no longer. */
  stop(): void {
    window.clearInterval(this.timer);
    window.clearTimeout(this.last);
    document.removeEventListener('visibilitychange', this.look);
    window.removeEventListener('focus', this.look);
  }

  private readonly look = (): void => {
    if (document.visibilityState === 'visible') {
      void this.model.renew().then(() => {
        const { status } = this.model;
        if (status && !needsLogin(status, now())) {
          this.stop();
        }
      });
    }
  };

  private timer = 0;
  private last = 0;
}
