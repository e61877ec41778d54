import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import { formatDate } from '../format';
import { useModel, useNow } from '../hooks';
import type { IPrograms, IStatus, IToken } from '../tokens';
import type { LoginWatch } from './login';
import type { StatusModel } from './model';
import { safeUrl, Server } from './server';
import { needsLogin, timeLeft, tokenHealth } from './summary';

/** What opens above the status-bar item: identity, tokens, server and the ways out. */
export class StatusDetails extends ReactWidget {
  constructor(
    private readonly model: StatusModel,
    private readonly login: LoginWatch
  ) {
    super();
    this.node.tabIndex = -1;
    this.addClass('af-details');
    this.node.dataset.af = 'status-details';
    this.node.setAttribute('role', 'dialog');
    this.node.setAttribute('aria-label', 'Identity, tokens and server');
  }

  protected override render(): JSX.Element {
    return (
      <Details
        model={this.model}
        login={this.login}
        onShown={() => this.node.focus({ preventScroll: true })}
      />
    );
  }
}

function Details(props: {
  model: StatusModel;
  login: LoginWatch;
  onShown: () => void;
}): JSX.Element {
  const { model, login } = props;
  // it takes the focus, so that Escape closes it and Tab goes through it
  React.useEffect(props.onShown, []);
  useModel(model);
  const now = useNow(1000);
  const { status, problem } = model;
  return (
    <>
      {problem && (
        <p className="af-notice af-mod-error" data-af="notice" role="alert">
          {problem.message}
        </p>
      )}
      {status && (
        <>
          <Identity status={status} />
          {status.facility?.notice && (
            <p className="af-notice">{status.facility.notice}</p>
          )}
          <h3>Tokens</h3>
          {status.tokens.length === 0 && (
            <p className="af-dim">No tokens are kept in this server.</p>
          )}
          <ul className="af-token-list">
            {status.tokens.map(token => (
              <Token key={token.audience} token={token} now={now} />
            ))}
          </ul>
          <LoginAgain model={model} login={login} status={status} now={now} />
          <Programs programs={status.programs} />
          <Server status={status} now={now} />
        </>
      )}
    </>
  );
}

function Identity({ status }: { status: IStatus }): JSX.Element {
  const { user, display_name, issuer, groups } = status.identity;
  return (
    <header>
      <div className="af-details-name">{display_name ?? user}</div>
      <div className="af-dim">
        {display_name && display_name !== user ? `${user} · ` : ''}
        {issuer ? hostOf(issuer) : 'not logged in by an identity provider'}
      </div>
      {groups.length > 0 && <Few label="Groups" words={groups} />}
    </header>
  );
}

const TOKEN_WORDS = {
  ok: 'valid',
  renewing: 'renewing',
  expired: 'expired',
  error: 'problem',
  unknown: 'unknown'
} as const;

/** How many words are shown before the user asks for more. */
const FEW = 6;

/** The first words of a list that may be long, and the others by a click. */
function Few(props: { label: string; words: readonly string[] }): JSX.Element {
  const { label, words } = props;
  const [asked, setAsked] = React.useState(false);
  const more = words.length - FEW;
  const long = more > 1;
  return (
    <div className="af-chips" role="list" aria-label={label}>
      {(asked || !long ? words : words.slice(0, FEW)).map(word => (
        <span className="af-chip" role="listitem" key={word}>
          {word}
        </span>
      ))}
      {long && (
        <button
          className="af-chip"
          data-af="status-more"
          aria-expanded={asked}
          aria-label={`${label}: ${more} more`}
          onClick={() => setAsked(!asked)}
        >
          {asked ? 'fewer' : `${more} more …`}
        </button>
      )}
    </div>
  );
}

function Token({ token, now }: { token: IToken; now: number }): JSX.Element {
  const health = tokenHealth(token, now);
  const left = timeLeft(token.expires_at, now);
  return (
    <li
      data-af="status-token"
      data-audience={token.audience}
      data-state={health}
    >
      <span className="af-dot" data-state={health} aria-hidden="true" />
      <span className="af-grow">{token.audience}</span>
      <span title={formatDate(token.expires_at)}>
        {health === 'ok' ? left : TOKEN_WORDS[health]}
      </span>
      {token.scope && (
        <div className="af-token-scope" data-af="status-scope">
          <Few label="Scopes" words={token.scope.split(' ')} />
        </div>
      )}
      {token.message && <div className="af-token-message">{token.message}</div>}
    </li>
  );
}

/** The way out where a token is over: log in in another tab, and the notebook goes on. */
function LoginAgain(props: {
  model: StatusModel;
  login: LoginWatch;
  status: IStatus;
  now: number;
}): JSX.Element | null {
  const { model, status, now } = props;
  if (!needsLogin(status, now)) {
    return null;
  }
  const url = safeUrl(status.hub?.login_url);
  return (
    <p className="af-actions">
      {url && (
        <a
          className="af-button af-mod-accent"
          data-af="status-login"
          href={url}
          target="_blank"
          rel="noopener"
          onClick={() => props.login.start()}
        >
          Log in again
        </a>
      )}
      <button
        className="af-button"
        data-af="status-renew"
        disabled={model.renewing}
        onClick={() => void model.renew()}
      >
        {model.renewing ? 'Trying …' : 'Try again'}
      </button>
    </p>
  );
}

function Programs({ programs }: { programs: IPrograms }): JSX.Element | null {
  const { account, problem, file } = programs;
  if (!account && !file) {
    return null;
  }
  return (
    <>
      <h3>In terminals and notebooks</h3>
      <dl className="af-programs">
        {account && (
          <>
            <dt>Terminal</dt>
            <dd>
              <code data-af="status-command">oidc-token {account}</code>
            </dd>
          </>
        )}
        {file && (
          <>
            <dt>Python</dt>
            <dd>
              <code>from af_labextension import token</code>
            </dd>
            <dt>File</dt>
            <dd>
              <code title={file}>$BEARER_TOKEN_FILE</code>
            </dd>
          </>
        )}
      </dl>
      {problem && (
        <p className="af-token-message" role="alert">
          {problem.message}
        </p>
      )}
    </>
  );
}

function hostOf(issuer: string): string {
  try {
    return new URL(issuer).host;
  } catch {
    return issuer;
  }
}
