import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RequestError } from '../problem';
import { ScriptedServer } from '../scripted.test';
import { gate, until } from '../streams.test';
import type { IServerEvent } from '../tokens';
import { Feed, FeedState, ITiming } from './feed';

const FAST: ITiming = {
  first: 2000,
  silence: 2000,
  stable: 0,
  pause: 5,
  longestPause: 20,
  ask: 10,
  askChanging: 5,
  linger: 20
};

const pushed = (data: unknown): IServerEvent => ({
  name: 'clusters',
  data: JSON.stringify(data)
});

/** A feed whose connections are these, one after the other. */
function feedOf(
  connections: ((signal: AbortSignal) => AsyncIterable<IServerEvent>)[],
  timing: Partial<ITiming> = {}
) {
  const server = new ScriptedServer();
  const open = { now: 0, most: 0, all: 0 };
  server.streams.set('events', async function* (signal) {
    const connection = connections[Math.min(open.all, connections.length - 1)];
    open.all += 1;
    open.now += 1;
    open.most = Math.max(open.most, open.now);
    try {
      yield* connection!(signal);
    } finally {
      open.now -= 1;
    }
  });
  const taken: unknown[] = [];
  const sink = {
    asked: 0,
    changing: false,
    take: (raw: unknown) => void taken.push(raw),
    refresh: () => {
      sink.asked += 1;
      return Promise.resolve();
    }
  };
  const feed = new Feed(server, sink, { ...FAST, ...timing });
  const states: FeedState[] = [];
  feed.changed.connect(() => void states.push(feed.state));
  return { feed, open, taken, sink, states };
}

/** A connection that tells one thing and then stays. */
async function* staying(
  data: unknown,
  signal: AbortSignal
): AsyncGenerator<IServerEvent, void, undefined> {
  yield pushed(data);
  for (;;) {
    // signs of life, as the server gives them
    await new Promise(resolve => setTimeout(resolve, 10));
    if (signal.aborted) {
      throw new DOMException('ended', 'AbortError');
    }
    yield { name: '', data: '' };
  }
}

// eslint-disable-next-line require-yield, @typescript-eslint/require-await
async function* refused(): AsyncGenerator<IServerEvent, void, undefined> {
  throw new RequestError('away', 'Away.', 503);
}

async function* silent(
  signal: AbortSignal
): AsyncGenerator<IServerEvent, void, undefined> {
  const { passed, open } = gate();
  signal.addEventListener('abort', open);
  await passed;
  yield* [];
}

test('nothing is asked while pushes come through', async () => {
  const { feed, open, taken, sink, states } = feedOf([
    signal => staying({ turn: 1 }, signal)
  ]);
  feed.want(true);
  feed.want(true);
  await until(() => taken.length > 0);
  await new Promise(resolve => setTimeout(resolve, 150));
  assert.deepEqual(
    [open.all, sink.asked, states],
    [1, 0, ['connecting', 'live']]
  );
  feed.dispose();
  await until(() => open.now === 0);
  assert.equal(feed.state, 'off');
});

test('a connection that breaks is replaced without a question', async () => {
  const { feed, open, taken, sink, states } = feedOf([
    async function* () {
      yield await Promise.resolve(pushed({ turn: 1 }));
    },
    signal => staying({ turn: 2 }, signal)
  ]);
  feed.want(true);
  await until(() => taken.length === 2);
  assert.deepEqual(taken, [{ turn: 1 }, { turn: 2 }]);
  assert.ok(!states.includes('away'));
  assert.deepEqual([open.most, sink.asked], [1, 0]);
  feed.dispose();
});

test('questions stand in while no push comes through, and stop when it does', async () => {
  const { feed, taken, sink, states } = feedOf(
    [refused, silent, refused, signal => staying({}, signal)],
    { first: 50 }
  );
  feed.want(true);
  await until(() => feed.state === 'away');
  await until(() => taken.length > 0);
  assert.ok(sink.asked >= 2, String(sink.asked));
  assert.deepEqual(states, ['connecting', 'away', 'live']);
  const { asked } = sink;
  await new Promise(resolve => setTimeout(resolve, 60));
  assert.equal(sink.asked, asked);
  feed.dispose();
});

test('a connection that has fallen silent is given up', async () => {
  const { feed, open, taken } = feedOf(
    [
      async function* (signal) {
        yield pushed({ turn: 1 });
        yield* silent(signal);
      },
      signal => staying({ turn: 2 }, signal)
    ],
    { silence: 200 }
  );
  feed.want(true);
  await until(() => taken.length === 2);
  assert.deepEqual([open.all, open.now], [2, 1]);
  feed.dispose();
});

test('clusters are asked for once when the server is there and says nothing', async () => {
  const { feed, open, sink, states } = feedOf(
    [
      async function* (signal) {
        yield { name: '', data: '' };
        yield* silent(signal);
      }
    ],
    { first: 20 }
  );
  feed.want(true);
  await until(() => sink.asked > 0);
  await new Promise(resolve => setTimeout(resolve, 100));
  assert.deepEqual([open.all, sink.asked, states], [1, 1, ['connecting']]);
  feed.dispose();
});

test('an event that cannot be read ends the connection', async () => {
  const { feed, open, taken } = feedOf([
    async function* () {
      yield await Promise.resolve({ name: 'clusters', data: '{"clusters":' });
    },
    signal => staying({}, signal)
  ]);
  feed.want(true);
  await until(() => taken.length === 1);
  assert.equal(open.all, 2);
  feed.dispose();
});

test('pauses grow with each failure', async () => {
  const { feed, open } = feedOf([refused], { pause: 10, longestPause: 1e6 });
  feed.want(true);
  await new Promise(resolve => setTimeout(resolve, 300));
  // 10, 20, 40, 80, 160 ms, or half of each
  assert.ok(open.all >= 2 && open.all <= 7, String(open.all));
  feed.dispose();
});

test('a connection ends a while after nobody wants it', async () => {
  const { feed, open, taken } = feedOf([signal => staying({}, signal)]);
  feed.want(true);
  await until(() => taken.length > 0);
  feed.want(false);
  feed.want(true);
  await new Promise(resolve => setTimeout(resolve, 60));
  assert.deepEqual([open.all, open.now], [1, 1]);
  feed.want(false);
  assert.equal(open.now, 1);
  await until(() => open.now === 0);
  assert.equal(feed.state, 'off');
});

test('a user who does not want to wait is answered at once', async () => {
  const { feed, open, sink } = feedOf(
    [refused, signal => staying({}, signal)],
    { pause: 60_000, longestPause: 60_000, ask: 60_000 }
  );
  feed.want(true);
  await until(() => feed.state === 'away');
  const { asked } = sink;
  feed.retry();
  await until(() => feed.state === 'live');
  assert.deepEqual([open.all, sink.asked], [2, asked + 1]);
  feed.dispose();
});
