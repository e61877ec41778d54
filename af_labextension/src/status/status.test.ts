import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RequestError } from '../problem';
import { ScriptedServer } from '../scripted.test';
import type { IStatus, IToken } from '../tokens';
import { StatusModel } from './model';
import { needsLogin, summarize, tokenHealth } from './summary';

const NOW = 1000;
const token = (more: Partial<IToken> = {}): IToken => ({
  audience: 'storage',
  state: 'valid',
  expires_at: NOW + 3000,
  message: null,
  scope: '',
  needed: true,
  ...more
});
const status = (tokens: IToken[], ends: number | null = null): IStatus => ({
  identity: { user: 'alice', display_name: null, issuer: null, groups: [] },
  tokens,
  programs: { file: null, socket: null, account: null, problem: null },
  server: {
    expires_at: ends,
    started_at: null,
    stop_url: null,
    profile_url: null,
    ends: [],
    gpus: []
  },
  hub: null,
  facility: null
});

test('the worst token decides', () => {
  const health = (...tokens: IToken[]) =>
    summarize(status(tokens), null, NOW).health;
  assert.equal(health(token()), 'ok');
  assert.equal(health(token(), token({ state: 'refreshing' })), 'renewing');
  assert.equal(
    health(token({ state: 'expired' }), token({ state: 'refreshing' })),
    'expired'
  );
  assert.equal(
    health(token({ state: 'error' }), token({ state: 'expired' })),
    'error'
  );
});

test('a token that nobody needs does not alarm', () => {
  const refused = status([
    token(),
    token({ audience: 'jobs', state: 'error', needed: false })
  ]);
  assert.equal(summarize(refused, null, NOW).health, 'ok');
  assert.equal(needsLogin(refused, NOW), false);
});

test('a token whose time is over is expired, whatever was said', () => {
  assert.equal(tokenHealth(token({ expires_at: NOW }), NOW), 'expired');
  assert.equal(
    summarize(status([token({ expires_at: 1 })]), null, NOW).token,
    'expired'
  );
});

test('the shortest time left is shown', () => {
  const tokens = [token(), token({ expires_at: NOW + 125 })];
  assert.equal(summarize(status(tokens), null, NOW).token, '2 min');
});

test('a server that ends soon warns', () => {
  const soon = summarize(status([token()], NOW + 600), null, NOW);
  assert.deepEqual([soon.health, soon.server], ['renewing', '10 min']);
  assert.equal(
    summarize(status([token()], NOW + 7200), null, NOW).health,
    'ok'
  );
});

test('before the first answer and without one it says so', () => {
  assert.equal(summarize(null, null, NOW).health, 'unknown');
  const problem = { code: 'unreachable', message: 'No way.' };
  const away = summarize(null, problem, NOW);
  assert.deepEqual([away.health, away.title], ['error', 'No way.']);
});

test('the last good answer stays when a question fails', async () => {
  const server = new ScriptedServer();
  server.on('GET status', () => status([token()]));
  const model = new StatusModel(server);
  await model.refresh();
  server.on('GET status', () => {
    throw new RequestError('unreachable', 'No way.', 0);
  });
  await model.refresh();
  assert.equal(model.status?.identity.user, 'alice');
  assert.equal(model.problem?.message, 'No way.');
});

test('a hub that is away shows as a warning with its sentence', async () => {
  const server = new ScriptedServer();
  const problem = { code: 'hub-away', message: 'The hub does not answer.' };
  server.on('GET status', () => ({ ...status([token()]), problem }));
  const model = new StatusModel(server);
  await model.refresh();
  const summary = summarize(model.status, model.problem, NOW);
  assert.equal(summary.health, 'renewing');
  assert.match(summary.title, /The hub does not answer/);
});

test('a login is asked for when a token is over or refused, not while it is renewed', () => {
  const asked = (...tokens: IToken[]) => needsLogin(status(tokens), NOW);
  assert.equal(asked(token(), token({ state: 'refreshing' })), false);
  assert.equal(asked(token(), token({ state: 'error' })), true);
  assert.equal(asked(token({ expires_at: NOW - 1 })), true);
});

test('one new try is made at a time, and its answer is shown', async () => {
  const server = new ScriptedServer();
  let tries = 0;
  server.on('POST renew', () => {
    tries += 1;
    return status([token()]);
  });
  const model = new StatusModel(server);
  const first = model.renew();
  assert.equal(model.renewing, true);
  await Promise.all([first, model.renew()]);
  assert.deepEqual([tries, model.renewing], [1, false]);
  assert.equal(model.status?.tokens.length, 1);
});

test('an end for want of activity shows in the status bar when it is near', () => {
  const idle = {
    at: NOW + 700,
    why: 'idle' as const,
    limit: 7200,
    lead: 600
  };
  const shown = (now: number) => {
    const known = status([token()], NOW + 9000);
    const lifetime = { ...idle, at: NOW + 9000, why: 'lifetime' as const };
    const server = { ...known.server, ends: [idle, lifetime] };
    return summarize({ ...known, server }, null, now).server;
  };
  assert.deepEqual([shown(NOW), shown(NOW + 100)], ['2 h 30 min', '10 min']);
});
