import assert from 'node:assert/strict';
import { test } from 'node:test';

import { GIB } from '../format';
import { clusterOf } from './samples.test';
import type { ICluster } from './types';
import { ending, lossInWords, news, tokenWords } from './words';

const NOW = 1_000_000;
const same = (cluster: ICluster) => cluster.id;

test('an end that is near is counted down', () => {
  const ends = (seconds: number, why: string | null, state = 'running') =>
    ending(
      clusterOf('a', { ends_at: NOW + seconds, ends_why: why, state }),
      NOW
    );
  assert.deepEqual(ends(7200, 'lifetime'), {
    text: 'Its lifetime ends in 2 h 00 min',
    soon: false
  });
  assert.deepEqual(ends(65, 'idle'), {
    text: 'Without work it ends in 1:05',
    soon: true
  });
  assert.deepEqual(ends(-3, null), { text: 'Ends now', soon: true });
  assert.equal(ends(65, 'idle', 'failed'), null);
  assert.equal(ending(clusterOf('a'), NOW), null);
});

test('a token says how fresh it is', () => {
  const words = (
    state: 'waiting' | 'valid' | 'error',
    left: number | null,
    message: string | null = null
  ) =>
    tokenWords(
      { state, expires_at: left === null ? null : NOW + left, message },
      NOW
    );
  assert.deepEqual(words('valid', 3000), {
    state: 'valid',
    text: 'Token fresh, 50 min left'
  });
  assert.equal(words('valid', -1).state, 'expired');
  assert.equal(words('waiting', null).text, 'Token on its way');
  assert.equal(
    words('error', 60, 'Log in again.').text,
    'Token not renewed, 1 min left: Log in again.'
  );
  assert.equal(words('error', -60).text, 'No valid token on the workers');
});

test('a shutdown says what is lost', () => {
  const text = lossInWords(clusterOf('a', { memory: 2 * GIB, gpus: 1 }));
  assert.match(text, /^2 workers, 2 cores, 2 GiB of memory, 1 GPU will stop/);
  assert.match(text, /results that only the workers hold are lost/);
});

test('a screen reader hears states and complete clusters, not each worker', () => {
  const cluster = (more: Record<string, unknown>) => [clusterOf('a', more)];
  const starting = cluster({ state: 'starting', workers: 0 });
  const running = cluster({ workers: 0 });
  const name = 'This machine a';
  assert.deepEqual(news([], starting, same), [`${name}: starting.`]);
  assert.deepEqual(news(starting, running, same), [`${name}: running.`]);
  assert.deepEqual(news(running, cluster({ workers: 1 }), same), []);
  assert.deepEqual(news(cluster({ workers: 1 }), cluster({}), same), [
    `${name}: 2 workers ready.`
  ]);
  assert.deepEqual(
    news(running, cluster({ workers: 0, held: 'No more.' }), same),
    [`${name}: No more.`]
  );
  assert.deepEqual(
    news(running, cluster({ state: 'failed', reason: 'It broke.' }), same),
    [`${name}: failed. It broke.`]
  );
  assert.deepEqual(news(running, [], same), [`${name}: over.`]);
});
