import assert from 'node:assert/strict';
import { test } from 'node:test';

import { GIB } from '../format';
import { RequestError } from '../problem';
import { ScriptedServer } from '../scripted.test';
import type { ICluster, IClusterRequest, IClusterType } from '../tokens';
import { ClustersModel } from './model';
import {
  checkForm,
  checkScale,
  fieldsOf,
  initialForm,
  mostWorkers,
  range,
  scaleForm
} from './options';

const type: IClusterType = {
  name: 'local',
  title: 'This machine',
  description: null,
  options: {
    properties: {
      worker_cores: {
        type: 'integer',
        title: 'Cores',
        default: 1,
        minimum: 1,
        maximum: 2
      },
      worker_memory: {
        type: 'integer',
        title: 'Memory',
        default: GIB,
        minimum: GIB / 2,
        maximum: 2 * GIB,
        multipleOf: 2 ** 20,
        'x-unit': 'bytes'
      },
      scale: {
        type: 'object',
        default: { mode: 'adaptive', minimum: 0, maximum: 3 },
        oneOf: [{ properties: { workers: { maximum: 4 } } }]
      }
    }
  }
};

test('memory is shown in GiB and asked for in bytes', () => {
  const [cores, memory] = fieldsOf(type);
  assert.equal(cores && range(cores), '1 to 2');
  assert.equal(memory && range(memory), '0.5 to 2 GiB');
  const form = {
    ...initialForm(type),
    options: { worker_cores: '2', worker_memory: '1.3' }
  };
  const checked = checkForm(type, form);
  assert.ok('value' in checked);
  assert.equal(checked.value.options['worker_cores'], 2);
  assert.equal(Number(checked.value.options['worker_memory']) % 2 ** 20, 0);
});

test('the form begins with the defaults of the type', () => {
  const form = initialForm(type);
  assert.deepEqual(form.options, { worker_cores: '1', worker_memory: '1' });
  assert.equal(form.mode, 'adaptive');
  assert.equal(mostWorkers(type), 4);
  assert.ok('value' in checkForm(type, form));
});

test('what lies outside the bounds is named', () => {
  const wrong = (options: Record<string, string>) => {
    const form = initialForm(type);
    const checked = checkForm(type, {
      ...form,
      options: { ...form.options, ...options }
    });
    return 'problem' in checked ? checked.problem : null;
  };
  assert.equal(wrong({ worker_memory: '3' }), 'Memory must be 0.5 to 2 GiB.');
  assert.equal(wrong({ worker_cores: '1.5' }), 'Cores must be 1 to 2.');
  assert.equal(wrong({ worker_cores: '' }), 'Cores must be 1 to 2.');
});

test('a choice must be one of those offered', () => {
  const choice: IClusterType = {
    ...type,
    options: {
      properties: {
        queue: { type: 'string', title: 'Queue', enum: ['short', 'long'] }
      }
    }
  };
  const form = initialForm(choice);
  assert.equal(form.options['queue'], 'short');
  assert.ok(
    'problem' in checkForm(choice, { ...form, options: { queue: 'x' } })
  );
});

test('scales are whole numbers in order', () => {
  const adaptive = scaleForm({ mode: 'adaptive', minimum: 1, maximum: 3 }, 2);
  assert.deepEqual(checkScale(adaptive, 4), {
    value: { mode: 'adaptive', minimum: 1, maximum: 3 }
  });
  assert.ok('problem' in checkScale({ ...adaptive, minimum: '4' }, 4));
  assert.ok('problem' in checkScale({ ...adaptive, maximum: '0' }, 4));
  assert.ok(
    'problem' in checkScale(scaleForm({ mode: 'fixed', workers: 5 }, 2), 4)
  );
  assert.ok(
    'problem' in checkScale({ ...adaptive, mode: 'fixed', workers: '1e' }, null)
  );
});

const cluster = (id: string, more: Partial<ICluster> = {}): ICluster => ({
  id,
  name: id,
  type: 'local',
  title: 'This machine',
  state: 'running',
  reason: null,
  workers: 2,
  wanted: 2,
  cores: 2,
  memory: GIB,
  scale: { mode: 'fixed', workers: 2 },
  created_at: 1,
  options: {},
  ...more
});
const request: IClusterRequest = {
  type: 'local',
  options: {},
  scale: { mode: 'fixed', workers: 2 }
};
const types = { types: [type], available: true, message: null };

async function loaded(clusters: ICluster[]) {
  const server = new ScriptedServer();
  server.on('GET clusters/types', () => types);
  server.on('GET clusters', () => ({ clusters }));
  const model = new ClustersModel(server, () => 10);
  await model.refresh();
  return { server, model };
}

test('a new cluster has a card at once, which turns into the real one', async () => {
  const { server, model } = await loaded([]);
  let answer: (made: ICluster) => void = () => undefined;
  server.on('POST clusters', () => new Promise(resolve => (answer = resolve)));
  const made = model.create(request);
  assert.equal(model.clusters[0]?.state, 'pending');
  assert.equal(model.clusters[0]?.title, 'This machine');
  assert.ok(model.changing);
  await Promise.resolve();
  answer(cluster('a', { state: 'starting', workers: 0 }));
  await made;
  assert.deepEqual(
    model.clusters.map(each => [each.id, each.state]),
    [['a', 'starting']]
  );
});

test('a refused cluster keeps its card with the sentence until dismissed', async () => {
  const { server, model } = await loaded([]);
  server.on('POST clusters', () => {
    throw new RequestError('quota', 'No workers left.', 409);
  });
  await model.create(request);
  const card = model.clusters[0] as ICluster;
  assert.deepEqual([card.state, card.reason], ['failed', 'No workers left.']);
  assert.ok(model.isOnlyHere(card.id));
  assert.ok(!model.changing);
  model.dismiss(card.id);
  assert.equal(model.clusters.length, 0);
});

test('polling is quick only while workers come or go', async () => {
  assert.equal((await loaded([cluster('a')])).model.changing, false);
  assert.equal(
    (await loaded([cluster('a', { wanted: 4 })])).model.changing,
    true
  );
  assert.equal(
    (await loaded([cluster('a', { state: 'failed' })])).model.changing,
    false
  );
});

test('a cluster shows as stopping at once, and again as it is if that fails', async () => {
  const { server, model } = await loaded([cluster('a')]);
  let refuse: (error: Error) => void = () => undefined;
  server.on(
    'DELETE clusters/a',
    () => new Promise((_, reject) => (refuse = reject))
  );
  const stopped = model.shutdown('a');
  assert.equal(model.clusters[0]?.state, 'stopping');
  await Promise.resolve();
  refuse(new RequestError('gateway-away', 'The gateway does not answer.', 502));
  await assert.rejects(stopped, RequestError);
  assert.equal(model.clusters[0]?.state, 'running');
});

test('a list asked for before a change does not undo it', async () => {
  const { server, model } = await loaded([cluster('a')]);
  let answer: (old: unknown) => void = () => undefined;
  server.on('GET clusters', () => new Promise(resolve => (answer = resolve)));
  const listed = model.refresh();
  await Promise.resolve();
  server.on('PATCH clusters/a', () => cluster('a', { wanted: 4 }));
  await model.scale('a', { mode: 'fixed', workers: 4 });
  answer({ clusters: [cluster('a')] });
  await listed;
  assert.equal(model.clusters[0]?.wanted, 4);
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
