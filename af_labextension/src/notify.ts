import { Clipboard, Notification } from '@jupyterlab/apputils';

import { problemOf } from './problem';

/** Do something the user asked for; what goes wrong becomes a notice in the corner. */
export async function attempt(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    Notification.error(problemOf(error).message);
  }
}

/** Copy a text and say so. */
export function copyText(text: string, what: string): void {
  Clipboard.copyToSystem(text);
  Notification.success(`${what} copied.`, { autoClose: 2000 });
}
