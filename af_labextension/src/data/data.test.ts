import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { IRow } from '../tokens';
import {
  arrange,
  childPath,
  crumbs,
  nextSort,
  parentPath,
  typeAhead
} from './listing';
import { headAndTail } from './names';
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

test('directories come first and numbers count as numbers', () => {
  const rows = [row('run10'), row('run2'), row('z', { type: 'directory' })];
  assert.deepEqual(names(arrange(rows, byName, '')), ['z', 'run2', 'run10']);
  const turned = arrange(rows, { key: 'name', descending: true }, '');
  assert.deepEqual(names(turned), ['z', 'run10', 'run2']);
});

test('directories keep their place when kinds are found out row by row', () => {
  const rows = [row('b', { type: 'directory' }), row('a', { type: 'unknown' })];
  assert.deepEqual(names(arrange(rows, byName, '', false)), ['a', 'b']);
});

test('rows sort by size and by date, unknown ones last in either order', () => {
  const rows = [
    row('a', { size: 2, modified: '2026-01-02T00:00:00Z' }),
    row('b', { size: null, modified: null }),
    row('c', { size: 3, modified: '2026-01-01T00:00:00Z' })
  ];
  const by = (key: 'size' | 'modified', descending = true) =>
    names(arrange(rows, { key, descending }, ''));
  assert.deepEqual(by('size'), ['c', 'a', 'b']);
  assert.deepEqual(by('size', false), ['a', 'c', 'b']);
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

test('a long name keeps its end, and nothing of it is lost', () => {
  assert.deepEqual(headAndTail('short.root'), ['short.root', '']);
  assert.deepEqual(headAndTail('/store/mc/zmumu/nano_1.root'), [
    '/store/mc/zmumu',
    '/nano_1.root'
  ]);
  const odd = [
    'x'.repeat(1000),
    '\u{1f600}'.repeat(100),
    'a' + '\u0301'.repeat(300),
    '//'.repeat(50),
    '<b>%2f</b>'.repeat(20)
  ];
  for (const name of odd) {
    const [head, tail] = headAndTail(name);
    assert.equal(head + tail, name);
    assert.doesNotMatch(tail, /^(?:[\udc00-\udfff]|\p{M})/u);
    assert.ok(head !== '' && tail.length <= 40);
  }
  const hebrew = '\u05d0'.repeat(100);
  assert.deepEqual(headAndTail(hebrew), [hebrew, '']);
});
