import assert from 'node:assert/strict';
import { test } from 'node:test';

import { GIB } from '../format';
import {
  demands,
  leftInWords,
  perWorker,
  shortage,
  tightest,
  times
} from './quota';
import type { IQuota, Resource } from './types';

const quota = (
  resource: Resource,
  used: number,
  limit: number,
  group?: string
): IQuota => ({
  scope: group ? 'group' : 'user',
  name: group ?? 'alice',
  resource,
  used,
  limit
});

const cms = quota('cores', 380, 400, '/cms');
const worker = perWorker({ worker_cores: 8, worker_memory: 16 * GIB });

test('what is left is said in words', () => {
  assert.equal(leftInWords(cms), '20 of 400 cores left for /cms');
  assert.equal(
    leftInWords(quota('memory', 600 * GIB, 2 ** 40)),
    '424 GiB of 1 TiB of memory left for you'
  );
  // used may be more than the limit, where the limit was made smaller
  assert.equal(leftInWords(quota('gpus', 2, 1)), '0 of 1 GPU left for you');
});

test('the tightest quota of each resource counts', () => {
  const mine = quota('cores', 0, 64);
  assert.deepEqual(tightest([mine, cms, quota('clusters', 1, 3)]), [
    quota('clusters', 1, 3),
    cms
  ]);
});

test('what is asked for beyond what is left is marked', () => {
  const asked = { ...times(worker, 3), clusters: 1 };
  const found = demands(
    [cms, quota('clusters', 1, 3), quota('gpus', 0, 1)],
    asked
  );
  assert.deepEqual(
    found.map(each => [each.quota.resource, each.asked, each.over]),
    // a quota of GPUs is not shown to who asks for none
    [
      ['clusters', 1, false],
      ['cores', 24, true]
    ]
  );
});

test('how many of the workers can start is said', () => {
  assert.equal(
    shortage([cms], worker, 5),
    '20 of 400 cores left for /cms: 2 of 5 workers can start now.'
  );
  assert.equal(shortage([cms], worker, 2), null);
  assert.equal(
    shortage([quota('workers', 10, 10)], worker, 1),
    '0 of 10 workers left for you: no worker can start now.'
  );
  assert.equal(shortage([quota('gpus', 0, 0)], worker, 5), null);
  assert.equal(shortage([], worker, 1e9), null);
});

test('sizes that make no sense ask for nothing', () => {
  const none = perWorker({ worker_cores: 'x', worker_memory: -1 });
  assert.deepEqual(times(none, Number.NaN), {
    clusters: 0,
    workers: 0,
    cores: 0,
    memory: 0,
    gpus: 0
  });
});
