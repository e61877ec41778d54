import * as React from 'react';

import { endInWords } from '../ends/words';
import type { IStatus } from '../tokens';
import { endsOf, needsLogin, timeLeft } from './summary';

/** How long the server lives, and where the hub lets one do something about it. */
export function Server({
  status,
  now
}: {
  status: IStatus;
  now: number;
}): JSX.Element {
  const { server, hub, facility } = status;
  const ends = endsOf(status);
  return (
    <>
      <h3>Server</h3>
      <p>
        {server.started_at !== null &&
          `Running for ${timeLeft(2 * now - server.started_at, now)}. `}
        {ends.length === 0
          ? 'It has no time limit.'
          : ends.map(end => endInWords(end, now)).join(' ')}
      </p>
      <nav className="af-links">
        <Link hook="status-stop" url={server.stop_url}>
          Stop
        </Link>
        <Link hook="status-profile" url={server.profile_url}>
          Change profile
        </Link>
        {!needsLogin(status, now) && (
          <Link hook="status-login" url={hub?.login_url} newTab>
            Log in again
          </Link>
        )}
        <Link hook="status-support" url={facility?.support} newTab>
          Support
        </Link>
      </nav>
    </>
  );
}

function Link(props: {
  hook: string;
  url: string | null | undefined;
  newTab?: boolean;
  children: string;
}): JSX.Element | null {
  const url = safeUrl(props.url);
  if (!url) {
    return null;
  }
  return (
    <a
      data-af={props.hook}
      href={url}
      target={props.newTab ? '_blank' : '_self'}
      rel="noopener"
    >
      {props.children}
    </a>
  );
}

/** An address that a click may open; `javascript:` and its kin are not. */
export function safeUrl(url: string | null | undefined): string | null {
  if (!url) {
    return null;
  }
  try {
    const parsed = new URL(url, window.location.href);
    return ['http:', 'https:', 'mailto:'].includes(parsed.protocol)
      ? parsed.href
      : null;
  } catch {
    return null;
  }
}
