import { Clipboard, Notification } from '@jupyterlab/apputils';

import { isAbort, problemOf } from './problem';

/**
 * Do something the user asked for; what goes wrong becomes a notice in the corner, unless the user
 * stopped it.
 */
export async function attempt(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (isAbort(error)) {
      return;
    }
    // without a time Lab files it away unseen
    Notification.error(problemOf(error).message, { autoClose: 10_000 });
  }
}

/** Copy a text and say so. */
export function copyText(text: string, what: string): void {
  Clipboard.copyToSystem(text);
  Notification.success(`${what} copied.`, { autoClose: 2000 });
}
