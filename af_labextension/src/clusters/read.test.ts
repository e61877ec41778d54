import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  readCluster,
  readDashboards,
  readLogs,
  readSnapshot,
  readTypes
} from './read';
import { rawCluster } from './samples.test';

test('what a server of before does not tell is nothing', () => {
  const cluster = readCluster(rawCluster('a'));
  assert.deepEqual(
    [cluster?.gpus, cluster?.token, cluster?.held, cluster?.backend],
    [0, null, null, 'gateway']
  );
  assert.equal(readSnapshot({ clusters: [] }).quotas, null);
  assert.equal(readTypes({ types: [{ name: 'a' }] }).types[0]?.available, true);
});

test('values of the wrong kind become nothing, not an error', () => {
  const nonsense = [null, 7, 'x', {}, [], [[]], { length: 3 }];
  for (const value of nonsense) {
    readSnapshot(value);
    readSnapshot({ clusters: value, quotas: value, problem: value });
    readTypes({ types: [value], quotas: [value] });
    readDashboards({ links: [value] });
    readLogs({ logs: [value] });
    const fields = Object.keys(rawCluster('a')).concat(
      'token',
      'held',
      'ends_at',
      'warning',
      'gpus'
    );
    for (const field of fields) {
      const read = readCluster({ ...rawCluster('a'), [field]: value });
      assert.ok(read === null || typeof read.title === 'string', field);
    }
  }
  const odd = readCluster(
    rawCluster('a', { workers: -1, cores: Infinity, state: '<b>', token: {} })
  );
  assert.deepEqual(
    [odd?.workers, odd?.cores, odd?.state, odd?.token?.state],
    [0, 0, 'pending', 'waiting']
  );
});

test('texts have a bounded length', () => {
  const long = 'x'.repeat(1_000_000);
  const cluster = readCluster(rawCluster('a', { title: long, reason: long }));
  assert.equal(cluster?.title.length, 201);
  assert.equal(cluster?.reason?.length, 2001);
  const problem = { code: 'a', message: long };
  assert.equal(readSnapshot({ problem }).problem?.message.length, 2000);
});

test('quotas without a limit are no quotas', () => {
  const { quotas } = readSnapshot({
    quotas: [
      { scope: 'group', name: '/cms', resource: 'cores', used: 1, limit: null },
      {
        scope: 'group',
        name: '/cms',
        resource: 'petabytes',
        used: 1,
        limit: 2
      },
      { scope: 'group', name: '/cms', resource: 'cores', used: 1, limit: 0 }
    ]
  });
  assert.deepEqual(quotas, [
    { scope: 'group', name: '/cms', resource: 'cores', used: 1, limit: 0 }
  ]);
});

test('what colours a terminal is left out of logs', () => {
  const text =
    '\u001b[31mERROR\u001b[0m \u001b]0;title\u0007done\u001b[2K <b>μ</b>\n';
  assert.deepEqual(readLogs({ logs: [{ name: 'scheduler', text }] }), [
    { name: 'scheduler', text: 'ERROR done <b>μ</b>\n', truncated: false }
  ]);
});
