import { isIdle } from '../ends/words';
import { count, formatDuration } from '../format';
import type { IEnd, IProblem, IStatus, IToken } from '../tokens';

/** How the login stands, worst first. */
export type Health = 'error' | 'expired' | 'renewing' | 'ok' | 'unknown';

/** What the status bar shows. */
export interface ISummary {
  readonly health: Health;
  readonly user: string;
  readonly token: string;
  readonly server: string;
  /** One sentence for the tooltip and for screen readers. */
  readonly title: string;
}

const WORST_FIRST: readonly Health[] = ['error', 'expired', 'renewing', 'ok'];

/** A server that ends within this many seconds deserves a warning. */
const SERVER_ENDS_SOON = 15 * 60;

/**
 * The state of a token now.
 *
 * A token whose time is over counts as expired, whatever the last answer said.
 *
 * @param now - seconds since the epoch
 */
export function tokenHealth(token: IToken, now: number): Health {
  if (token.state === 'error' || token.state === 'expired') {
    return token.state;
  }
  if (token.expires_at !== null && token.expires_at <= now) {
    return 'expired';
  }
  return token.state === 'refreshing' ? 'renewing' : 'ok';
}

/** The time in seconds since the epoch. */
export function now(): number {
  return Date.now() / 1000;
}

/** Whether a needed token is over or refused, so that logging in again may help. */
export function needsLogin(status: IStatus, now: number): boolean {
  return status.tokens.some(
    token =>
      token.needed && ['error', 'expired'].includes(tokenHealth(token, now))
  );
}

/** Time left until a moment, in words; nothing if there is no such moment. */
export function timeLeft(moment: number | null, now: number): string {
  if (moment === null) {
    return '';
  }
  return moment > now ? formatDuration(moment - now) : 'over';
}

/** When the server will end by itself, the next time first. */
export function endsOf(status: IStatus): readonly IEnd[] {
  const { ends, expires_at } = status.server;
  if (ends.length > 0 || expires_at === null) {
    return ends;
  }
  // as a hub tells that is older than this Lab
  return [{ at: expires_at, why: 'lifetime', limit: 0, lead: 0 }];
}

/** The end that the status bar shows: one for want of activity only when it is near. */
function endShown(status: IStatus, now: number): number | null {
  const shown = endsOf(status).find(
    end => !isIdle(end) || now >= end.at - end.lead
  );
  return shown?.at ?? null;
}

/**
 * Boil the status down to the one line of the status bar.
 *
 * @param now - seconds since the epoch
 */
export function summarize(
  status: IStatus | null,
  problem: IProblem | null,
  now: number
): ISummary {
  if (status === null) {
    return {
      health: problem ? 'error' : 'unknown',
      user: problem ? 'Facility not reachable' : 'Facility …',
      token: '',
      server: '',
      title: problem?.message ?? 'Asking who you are'
    };
  }
  const needed = status.tokens.filter(token => token.needed);
  const healths = needed.map(token => tokenHealth(token, now));
  const tokens = WORST_FIRST.find(health => healths.includes(health)) ?? 'ok';
  const ends = endShown(status, now);
  const endsSoon = ends !== null && ends - now < SERVER_ENDS_SOON;
  const health =
    tokens === 'ok' && (problem !== null || endsSoon) ? 'renewing' : tokens;
  const user = status.identity.display_name ?? status.identity.user;
  const token = tokenWords(needed, tokens, now);
  const server = timeLeft(ends, now);
  return {
    health,
    user,
    token,
    server,
    title: [
      `Logged in as ${user}`,
      token && `token: ${token}`,
      server && `server: ${server} left`,
      problem?.message
    ]
      .filter(Boolean)
      .join(' · ')
  };
}

function tokenWords(
  tokens: readonly IToken[],
  health: Health,
  now: number
): string {
  if (tokens.length === 0) {
    return '';
  }
  if (health === 'expired') {
    return 'expired';
  }
  const ends = tokens
    .map(token => token.expires_at)
    .filter((moment): moment is number => moment !== null && moment > now);
  const left =
    ends.length > 0 ? formatDuration(Math.min(...ends) - now) : 'no time known';
  if (health === 'error') {
    const failed = tokens.filter(token => token.state === 'error').length;
    return `${count(failed, 'token')} with a problem`;
  }
  return health === 'renewing' ? `${left}, renewing` : left;
}
