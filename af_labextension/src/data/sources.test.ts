import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RequestError } from '../problem';
import { ScriptedServer } from '../scripted.test';
import { batches, gate, until } from '../streams.test';
import { Preferences } from './preferences';
import { SourcesModel } from './sources';

const DONE = { done: true, count: 0 };
const DOORS = [
  { name: 'demo', title: 'Facility storage', url: 'https://x' },
  { name: 'cache', title: 'Experiment data', url: 'root://x' }
];

function facility(last: { source?: string } = {}) {
  const server = new ScriptedServer();
  server.on('GET storage', () => ({ doors: DOORS }));
  server.on('GET rucio', () => ({ available: true }));
  server.on('GET rucio/scopes', () => ({ scopes: [] }));
  for (const { name } of DOORS) {
    server.bodies.set(`storage/${name}/list?path=%2F`, batches([DONE]));
  }
  const kept: unknown[] = [];
  const state = {
    fetch: () => Promise.resolve(last),
    save: (_: string, value: unknown) => Promise.resolve(kept.push(value))
  };
  const preferences = new Preferences(
    null,
    state as unknown as ConstructorParameters<typeof Preferences>[1]
  );
  return { server, kept, model: new SourcesModel(server, preferences) };
}

const away = () => {
  throw new RequestError('away', 'It does not answer.', 502);
};
const titles = (model: SourcesModel) => model.sources.map(each => each.title);

test('datasets and doors stand side by side, the first door is open', async () => {
  const { model, server } = facility();
  await model.load();
  assert.deepEqual(titles(model), [
    'Datasets',
    'Facility storage',
    'Experiment data'
  ]);
  assert.equal(model.selected?.name, 'demo');
  // nothing is asked of Rucio before its tab is chosen
  assert.ok(!server.asked.includes('GET rucio/scopes'));
});

test('the source of last time is shown again, and a new choice is kept', async () => {
  const { model, kept } = facility({ source: 'rucio' });
  await model.load();
  assert.equal(model.selected?.name, 'datasets');
  model.select(model.sources[2] as never);
  assert.deepEqual(kept, [{ source: 'door:cache' }]);
});

test('without Rucio there are the doors alone', async () => {
  for (const answer of [
    () => ({ available: false }),
    () => {
      throw new RequestError('http-404', 'Not there.', 404);
    }
  ]) {
    const { model, server } = facility({ source: 'rucio' });
    server.on('GET rucio', answer);
    await model.load();
    assert.deepEqual(titles(model), ['Facility storage', 'Experiment data']);
    assert.equal(model.selected?.name, 'demo');
  }
});

test('storage that fails leaves the datasets, and comes back by a retry', async () => {
  const { model, server } = facility();
  server.on('GET storage', away);
  await model.load();
  assert.deepEqual(titles(model), ['Datasets', 'Storage']);
  assert.equal(model.selected?.name, 'datasets');
  const broken = model.sources[1];
  assert.equal(broken?.state, 'error');
  server.on('GET storage', () => ({ doors: DOORS }));
  await broken?.refresh();
  assert.equal(titles(model).length, 3);
  assert.equal(model.selected?.name, 'datasets');
});

test('storage is there while Rucio still thinks', async () => {
  const { model, server } = facility();
  const { passed, open } = gate();
  server.on('GET rucio', async () => {
    await passed;
    return away();
  });
  const loading = model.load();
  await until(() => model.selected?.name === 'demo');
  open();
  await loading;
  assert.equal(model.selected?.name, 'demo');
  assert.equal(model.sources[0]?.state, 'error');
});
