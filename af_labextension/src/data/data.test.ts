import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RequestError } from '../problem';
import { ScriptedServer } from '../scripted.test';
import type { IDoor, IRow } from '../tokens';
import {
  arrange,
  childPath,
  crumbs,
  nextSort,
  parentPath,
  typeAhead
} from './listing';
import { DataModel } from './model';
import { reveal, windowOf } from './window';

const row = (name: string, more: Partial<IRow> = {}): IRow => ({
  name,
  type: 'file',
  size: 1,
  modified: 0,
  url: `https://storage.example/${name}`,
  ...more
});
const names = (rows: readonly IRow[]) => rows.map(each => each.name);
const byName = { key: 'name', descending: false } as const;
const door: IDoor = { name: 'demo', title: 'Demo', url: 'https://x' };
const DONE = { done: true, count: 0 };

test('directories come first and numbers count as numbers', () => {
  const rows = [row('run10'), row('run2'), row('z', { type: 'directory' })];
  assert.deepEqual(names(arrange(rows, byName, '')), ['z', 'run2', 'run10']);
  const turned = arrange(rows, { key: 'name', descending: true }, '');
  assert.deepEqual(names(turned), ['z', 'run10', 'run2']);
});

test('rows sort by size and by date, unknown ones last when descending', () => {
  const rows = [
    row('a', { size: 2, modified: '2026-01-02T00:00:00Z' }),
    row('b', { size: null, modified: null }),
    row('c', { size: 3, modified: '2026-01-01T00:00:00Z' })
  ];
  const by = (key: 'size' | 'modified') =>
    names(arrange(rows, { key, descending: true }, ''));
  assert.deepEqual(by('size'), ['c', 'a', 'b']);
  assert.deepEqual(by('modified'), ['a', 'c', 'b']);
});

test('the filter ignores case and leaves the rows as they were', () => {
  const rows = [row('Zmumu.root'), row('ttbar.root')];
  assert.deepEqual(names(arrange(rows, byName, ' zMU ')), ['Zmumu.root']);
  assert.equal(rows.length, 2);
});

test('a click on a column turns its order or takes the new column', () => {
  assert.deepEqual(nextSort(byName, 'name'), { key: 'name', descending: true });
  assert.deepEqual(nextSort(byName, 'size'), { key: 'size', descending: true });
});

test('type-ahead goes round', () => {
  const rows = [row('alpha'), row('beta'), row('Albedo')];
  assert.equal(typeAhead(rows, 'al', 1), 2);
  assert.equal(typeAhead(rows, 'al', 3), 0);
  assert.equal(typeAhead(rows, 'x', 0), -1);
  assert.equal(typeAhead([], 'x', 0), -1);
});

test('paths are joined and taken apart', () => {
  assert.equal(childPath('/', 'cms'), '/cms');
  assert.equal(childPath('/cms', 'a b#?'), '/cms/a b#?');
  assert.equal(parentPath('/cms/zmumu'), '/cms');
  assert.equal(parentPath('/cms'), '/');
  assert.equal(parentPath('/'), '/');
  assert.deepEqual(crumbs('/cms/zmumu'), [
    { name: 'cms', path: '/cms' },
    { name: 'zmumu', path: '/cms/zmumu' }
  ]);
});

test('never a hundred rows are drawn, wherever one scrolls', () => {
  for (const height of [0, 24, 700, 100_000]) {
    for (let top = 0; top <= 2_400_000; top += 99_991) {
      const { first, last } = windowOf(top, height, 24, 100_000);
      assert.ok(first >= 0 && last <= 100_000 && last - first < 100);
      if (height === 700 && top < 2_399_300) {
        assert.ok(first * 24 <= top && last * 24 >= top + height);
      }
    }
  }
  assert.deepEqual(windowOf(500, 700, 24, 0), { first: 0, last: 0 });
});

test('a row comes into sight with the least scrolling', () => {
  assert.equal(reveal(5, 0, 240, 24), 0);
  assert.equal(reveal(10, 0, 240, 24), 24);
  assert.equal(reveal(3, 240, 240, 24), 72);
});

function listing(...batches: unknown[][]) {
  return async function* () {
    for (const batch of batches) {
      yield await Promise.resolve(batch);
    }
  };
}

test('a single door is opened at once and names are quoted', async () => {
  const server = new ScriptedServer();
  server.on('GET storage', () => ({ doors: [door] }));
  server.bodies.set(
    'storage/demo/list?path=%2F',
    listing([row('a b', { type: 'directory' })], [DONE])
  );
  server.bodies.set('storage/demo/list?path=%2Fa%20b', listing([DONE]));
  const model = new DataModel(server);
  await model.loadDoors();
  assert.equal(model.loading, 'complete');
  await model.enter(model.view[0] as IRow);
  assert.equal(model.path, '/a b');
  assert.equal(model.total, 0);
  await model.up();
  assert.equal(model.currentRow?.name, 'a b');
});

test('an error in the middle of a list keeps its rows and tells the sentence', async () => {
  const server = new ScriptedServer();
  const error = { code: 'storage-away', message: 'Storage does not answer.' };
  server.bodies.set(
    'storage/demo/list?path=%2F',
    listing([row('a')], [{ error }])
  );
  const model = new DataModel(server);
  await model.open(door, '/');
  assert.deepEqual(names(model.view), ['a']);
  assert.deepEqual(model.problem, error);
});

test('a list without its last line is not taken for whole', async () => {
  const server = new ScriptedServer();
  server.bodies.set('storage/demo/list?path=%2F', listing([row('a')]));
  const model = new DataModel(server);
  await model.open(door, '/');
  assert.equal(model.loading, 'error');
});

test('a folder left in the middle does not write into the next one', async () => {
  const server = new ScriptedServer();
  let go: () => void = () => undefined;
  const gate = new Promise<void>(resolve => {
    go = resolve;
  });
  server.bodies.set('storage/demo/list?path=%2Fslow', async function* () {
    await gate;
    yield [row('late'), DONE];
  });
  server.bodies.set(
    'storage/demo/list?path=%2Ffast',
    listing([row('early'), DONE])
  );
  const model = new DataModel(server);
  const slow = model.open(door, '/slow');
  await model.open(door, '/fast');
  go();
  await slow;
  assert.deepEqual(names(model.view), ['early']);
  assert.equal(model.loading, 'complete');
});

test('a refused folder says so and a retry reads it again', async () => {
  const server = new ScriptedServer();
  // eslint-disable-next-line require-yield -- it fails before the first row
  server.bodies.set('storage/demo/list?path=%2F', async function* () {
    await Promise.resolve();
    throw new RequestError('forbidden', 'Not for your groups.', 403);
  });
  const model = new DataModel(server);
  await model.open(door, '/');
  assert.equal(model.problem?.message, 'Not for your groups.');
  server.bodies.set('storage/demo/list?path=%2F', listing([DONE]));
  await model.refresh();
  assert.equal(model.problem, null);
});
