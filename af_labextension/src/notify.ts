import { Clipboard, Notification } from '@jupyterlab/apputils';

import { problemOf } from './problem';

/** Do something the user asked for; what goes wrong becomes a notice in the corner. */
export async function attempt(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    // without a time Lab files it away unseen
    Notification.error(problemOf(error).message, { autoClose: 10_000 });
  }
}

/** Copy a text and say so. */
export function copyText(text: string, what: string): void {
  Clipboard.copyToSystem(text);
  Notification.success(`${what} copied.`, { autoClose: 2000 });
}
