import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';

import { attempt } from '../notify';
import { Server } from '../request';
import type { StatusModel } from '../status/model';
import { safeUrl } from '../status/server';
import { now } from '../status/summary';
import { Presence } from './presence';
import { Warnings } from './warnings';
import { isIdle } from './words';
import type { IWarning, Remedy } from './words';

/** Milliseconds between two looks at the clock; a laptop that slept has missed all of them. */
const LOOK_EVERY = 2_000;

/** Seconds for which an answer of the server is good enough to warn by. */
const FRESH = 5;

/** Longest time in seconds after which the server hears again that somebody works here. */
const TELL_EVERY = 60;

/** Seconds between two such calls while a warning stands that they may take away. */
const TELL_EVERY_WARNED = 2;

const LABELS: Record<Remedy, string> = {
  save: 'Save all',
  keep: 'Keep it running',
  profile: 'Change profile'
};

/** Warn before the server ends by itself, and tell that somebody works here. */
export function watch(app: JupyterFrontEnd, model: StatusModel): void {
  const server = new Server(app.serviceManager.serverSettings);
  const ends = () => model.status?.server.ends ?? [];
  const say = (what: 'keep' | 'used') =>
    server.json('ends', { method: 'POST', body: { what } });
  const remedies: Record<Remedy, () => void> = {
    save: () =>
      void attempt(async () => {
        await app.commands.execute('docmanager:save-all');
      }),
    keep: () =>
      void attempt(async () => {
        try {
          await say('keep');
        } catch (error) {
          // else the user would have no second chance
          warnings.again();
          throw error;
        }
        await model.refresh();
      }),
    profile: () => {
      const url = safeUrl(model.status?.server.profile_url);
      if (url) {
        window.open(url, '_blank', 'noopener');
      }
    }
  };
  const warnings = new Warnings({
    show: warning => show(warning, remedies),
    hide: id => Notification.dismiss(id)
  });
  const update = () =>
    warnings.update(ends(), model.status?.server.gpus ?? [], now());
  let heard = now();
  update();
  model.changed.connect(() => {
    heard = now();
    update();
  });
  window.setInterval(() => {
    if (warnings.concerned(ends(), now()) && now() - heard > FRESH) {
      // something may have happened since, in a kernel or in another page
      void model.refresh();
    } else {
      update();
    }
  }, LOOK_EVERY);
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') {
      void model.refresh();
    }
  });

  const pause = () => {
    const limits = ends()
      .filter(isIdle)
      .map(end => end.limit);
    if (limits.length === 0) {
      return null;
    }
    return warnings.waiting
      ? TELL_EVERY_WARNED
      : Math.min(TELL_EVERY, Math.min(...limits) / 10);
  };
  const tell = () => {
    const warned = warnings.waiting;
    void say('used')
      .then(() => (warned ? model.refresh() : undefined))
      // the next sign is soon to come, and the status bar tells what is wrong
      .catch(() => undefined);
  };
  new Presence(tell, pause, now).watch(document);
}

function show(warning: IWarning, remedies: Record<Remedy, () => void>): string {
  return Notification.warning(warning.text, {
    autoClose: false,
    actions: warning.remedies.map(remedy => ({
      label: LABELS[remedy],
      displayType: remedy === 'profile' ? 'link' : 'accent',
      callback: remedies[remedy]
    }))
  });
}
