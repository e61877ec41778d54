import { Token } from '@lumino/coreutils';

import type { StatusModel } from './model';

/** What the status bar knows, for other plugins. */
export const IStatusModel = new Token<StatusModel>(
  'af-labextension:IStatusModel',
  'Who the user is, and how long tokens and server live.'
);
