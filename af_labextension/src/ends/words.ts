import { formatDate, formatDuration } from '../format';
import type { IEnd } from '../tokens';

/** What a warning offers to do. */
export type Remedy = 'save' | 'keep' | 'profile';

/** A warning in words. */
export interface IWarning {
  readonly text: string;
  readonly remedies: readonly Remedy[];
}

/**
 * The ends of which the user has to be told now: that of the lifetime, and the next one for want of
 * activity.
 *
 * @param now - seconds since the epoch
 */
export function due(ends: readonly IEnd[], now: number): readonly IEnd[] {
  const soon = ends.filter(end => now >= end.at - end.lead);
  const idle = soon.find(isIdle);
  return soon.filter(end => !isIdle(end) || end === idle);
}

/** Whether activity puts an end off. */
export function isIdle(end: IEnd): boolean {
  return end.why !== 'lifetime';
}

/**
 * Say what will happen, when, why, and what can be done; JupyterLab shows 140 characters.
 *
 * @param gpus - models of the server's graphics processors
 * @param now - seconds since the epoch
 */
export function warningOf(
  end: IEnd,
  gpus: readonly string[],
  now: number
): IWarning {
  const at = timeOf(end.at, now);
  const limit = formatDuration(end.limit);
  switch (end.why) {
    case 'lifetime':
      return {
        text: `This server stops at ${at}: its profile runs for ${limit} at most. Save your work: files stay, the memory of kernels does not.`,
        remedies: ['save']
      };
    case 'idle':
      return {
        text: `This server stops at ${at}: nothing has happened in it for a while, and ${limit} are allowed.`,
        remedies: ['keep']
      };
    case 'gpu-idle':
      return {
        text: `This server stops at ${at}: its ${devices(gpus)} had no work for a while, and ${limit} are allowed.`,
        remedies: ['keep', 'profile']
      };
  }
}

/** What the details of the status bar say about an end. */
export function endInWords(end: IEnd, now: number): string {
  const left = formatDuration(end.at - now);
  if (end.at <= now) {
    return 'Its time is over.';
  }
  switch (end.why) {
    case 'lifetime':
      return `It will be stopped in ${left}.`;
    case 'idle':
      return `Without activity it will be stopped in ${left}.`;
    case 'gpu-idle':
      return `Without work on its GPUs it will be stopped in ${left}.`;
  }
}

function devices(gpus: readonly string[]): string {
  const models = [...new Set(gpus)];
  const noun = gpus.length === 1 ? 'GPU' : 'GPUs';
  return models.length > 0 ? `${noun} (${models.join(', ')})` : noun;
}

/** A moment as people write it: only the time if it is today's. */
function timeOf(moment: number, now: number): string {
  const [day, time] = formatDate(moment).split(' ');
  const [today] = formatDate(now).split(' ');
  return day === today ? (time ?? '') : `${day} ${time}`;
}
