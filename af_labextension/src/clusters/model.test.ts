import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RequestError } from '../problem';
import { ScriptedServer } from '../scripted.test';
import { ClustersModel } from './model';
import { rawCluster, rawType } from './samples.test';
import type { ICluster, IClusterRequest } from './types';

const request: IClusterRequest = {
  type: 'local',
  options: {},
  scale: { mode: 'fixed', workers: 2 }
};
const types = { types: [rawType], available: true, message: null };

type Raw = Record<string, unknown>;

async function loaded(clusters: Raw[], clock = { now: 10 }) {
  const server = new ScriptedServer();
  server.on('GET clusters/types', () => types);
  server.on('GET clusters', () => ({ clusters }));
  const model = new ClustersModel(server, () => clock.now);
  await model.refresh();
  return { server, model };
}

/** An answer that comes when the test wants. */
function later<T>(): {
  answer: Promise<T>;
  give: (value: T) => void;
  refuse: (error: Error) => void;
} {
  let give: (value: T) => void = () => undefined;
  let refuse: (error: Error) => void = () => undefined;
  const answer = new Promise<T>((resolve, reject) => {
    give = resolve;
    refuse = reject;
  });
  return { answer, give, refuse };
}

const states = (model: ClustersModel) =>
  model.clusters.map(each => [each.id, each.state]);

test('a new cluster has a card at once, which turns into the real one', async () => {
  const { server, model } = await loaded([]);
  const { answer, give } = later<Raw>();
  server.on('POST clusters', () => answer);
  const made = model.create(request);
  const [card] = model.clusters;
  assert.deepEqual([card?.state, card?.title], ['pending', 'This machine']);
  assert.ok(card && model.requestOf(card.id));
  assert.ok(model.changing);
  await Promise.resolve();
  give(rawCluster('a', { state: 'starting', workers: 0 }));
  await made;
  assert.deepEqual(states(model), [['a', 'starting']]);
  // the same card on the screen
  assert.equal(model.keyOf(model.clusters[0] as ICluster), card?.id);
});

test('a cluster is there once when its push overtakes the answer, or comes late', async () => {
  const { server, model } = await loaded([rawCluster('old')]);
  const { answer, give } = later<Raw>();
  server.on('POST clusters', () => answer);
  const made = model.create(request);
  const real = rawCluster('a', { state: 'pending', created_at: 9 });
  model.take({ clusters: [rawCluster('old'), real] });
  assert.deepEqual(states(model), [
    ['asked-1', 'pending'],
    ['old', 'running']
  ]);
  give(real);
  await made;
  assert.deepEqual(states(model), [
    ['a', 'pending'],
    ['old', 'running']
  ]);
});

test('an answer that pushes have overtaken does not turn the clock back', async () => {
  const { server, model } = await loaded([]);
  const pending = rawCluster('a', { state: 'pending', workers: 0 });
  const posted = later<Raw>();
  server.on('POST clusters', () => posted.answer);
  const made = model.create(request);
  model.take({ clusters: [pending] });
  model.take({ clusters: [rawCluster('a')] });
  posted.give(pending);
  await made;
  assert.deepEqual(states(model), [['a', 'running']]);

  const patched = later<Raw>();
  server.on('PATCH clusters/a', () => patched.answer);
  const scaled = model.scale('a', { mode: 'fixed', workers: 4 });
  model.take({ clusters: [rawCluster('a', { wanted: 4, workers: 4 })] });
  patched.give(rawCluster('a', { wanted: 4 }));
  await scaled;
  assert.equal(model.clusters[0]?.workers, 4);
});

test('a push from before a cluster was made does not take it away', async () => {
  const clock = { now: 10 };
  const { server, model } = await loaded([], clock);
  server.on('POST clusters', () => rawCluster('a', { state: 'pending' }));
  await model.create(request);
  model.take({ clusters: [] });
  assert.deepEqual(states(model), [['a', 'pending']]);
  clock.now += 6;
  model.take({ clusters: [] });
  assert.deepEqual(states(model), []);
});

test('a refused cluster keeps its card with the sentence until dismissed', async () => {
  const { server, model } = await loaded([]);
  server.on('POST clusters', () => {
    throw new RequestError('quota', 'No workers left.', 409);
  });
  await model.create(request);
  const card = model.clusters[0] as ICluster;
  assert.deepEqual([card.state, card.reason], ['failed', 'No workers left.']);
  assert.deepEqual(model.requestOf(card.id), request);
  assert.ok(!model.changing);
  model.dismiss(card.id);
  assert.equal(model.clusters.length, 0);
});

test('news are followed only while workers come or go', async () => {
  const changing = async (more: Raw) =>
    (await loaded([rawCluster('a', more)])).model.changing;
  assert.equal(await changing({}), false);
  assert.equal(await changing({ wanted: 4 }), true);
  assert.equal(await changing({ state: 'failed' }), false);
  assert.equal(await changing({ state: 'stopping' }), true);
  // a quota may hold workers back for hours
  assert.equal(await changing({ wanted: 4, held: 'No more.' }), false);
});

test('a cluster shows as stopping at once, and again as it is if that fails', async () => {
  const { server, model } = await loaded([rawCluster('a')]);
  const { answer, refuse } = later<void>();
  server.on('DELETE clusters/a', () => answer);
  const stopped = model.shutdown('a');
  assert.equal(model.clusters[0]?.state, 'stopping');
  await Promise.resolve();
  refuse(new RequestError('gateway-away', 'The gateway does not answer.', 502));
  await assert.rejects(stopped, RequestError);
  assert.equal(model.clusters[0]?.state, 'running');
});

test('a push from before a shutdown does not show the cluster as running', async () => {
  const clock = { now: 10 };
  const { server, model } = await loaded([rawCluster('a')], clock);
  server.on('DELETE clusters/a', () => undefined);
  await model.shutdown('a');
  model.take({ clusters: [rawCluster('a')] });
  assert.equal(model.clusters[0]?.state, 'stopping');
  // but a server that does not stop it is believed in the end
  clock.now += 6;
  model.take({ clusters: [rawCluster('a')] });
  assert.equal(model.clusters[0]?.state, 'running');
});

test('a list asked for before a change or a push does not undo it', async () => {
  const { server, model } = await loaded([rawCluster('a')]);
  const first = later<unknown>();
  server.on('GET clusters', () => first.answer);
  let listed = model.refresh();
  await Promise.resolve();
  server.on('PATCH clusters/a', () => rawCluster('a', { wanted: 4 }));
  await model.scale('a', { mode: 'fixed', workers: 4 });
  first.give({ clusters: [rawCluster('a')] });
  await listed;
  assert.equal(model.clusters[0]?.wanted, 4);

  const second = later<unknown>();
  server.on('GET clusters', () => second.answer);
  listed = model.refresh();
  await Promise.resolve();
  model.take({ clusters: [rawCluster('a', { wanted: 7 })] });
  second.give({ clusters: [rawCluster('a')] });
  await listed;
  assert.equal(model.clusters[0]?.wanted, 7);
});

test('a push tells clusters, quotas and what is wrong', async () => {
  const { model } = await loaded([]);
  const problem = { code: 'gateway-away', message: 'It does not answer.' };
  const quota = {
    scope: 'user',
    name: 'a',
    resource: 'cores',
    used: 1,
    limit: 2
  };
  model.take({ clusters: [rawCluster('lab-1')], quotas: [quota], problem });
  assert.deepEqual(
    [model.clusters.length, model.quotas, model.problem],
    [1, [quota], problem]
  );
  model.take({ clusters: [], quotas: [], problem: null });
  assert.deepEqual([model.quotas, model.problem], [[], null]);
});

test('without the service its sentence stands and clusters are not asked for', async () => {
  const server = new ScriptedServer();
  server.on('GET clusters/types', () => ({
    types: [],
    available: false,
    message: 'No Dask here.'
  }));
  const model = new ClustersModel(server);
  await model.refresh();
  assert.equal(model.types?.message, 'No Dask here.');
  assert.deepEqual(server.asked, ['GET clusters/types']);
});

test('an answer that is no cluster becomes a failed card', async () => {
  const { server, model } = await loaded([]);
  server.on('POST clusters', () => ({ hello: 1 }));
  await model.create(request);
  assert.match(model.clusters[0]?.reason ?? '', /cannot be read/);
});
