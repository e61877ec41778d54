import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ScriptedServer } from '../scripted.test';
import type { IMemoryNotice } from '../tokens';
import { asOutput, Notices } from './notices';

const notice = (id: string): IMemoryNotice => ({
  id,
  kind: 'ended',
  kernel: 'k',
  path: 'a.ipynb',
  title: 'Kernel ended',
  text: 'It held too much.',
  advice: ['Read less.', 'Ask for more.'],
  when: 1
});

function setup(ids: string[]) {
  const kept = new Map<string, string>();
  const memo = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value)
  };
  const server = new ScriptedServer();
  server.on('GET memory', () => ({ notices: ids.map(notice) }));
  const page = () => new Notices(server, memo, 'key');
  const told = async (notices: Notices) =>
    (await notices.fetch()).map(each => each.id);
  return { page, told, kept };
}

test('each notice is told once in a page and in those that come later', async () => {
  const ids = ['1', '2'];
  const { page, told } = setup(ids);
  const [first, other] = [page(), page()];
  assert.deepEqual(await told(first), ['1', '2']);
  ids.push('3');
  assert.deepEqual(await told(first), ['3']);
  assert.deepEqual(await told(first), []);
  assert.deepEqual(await told(page()), []);
  // open all the time: its notebook may be the one that it is about
  assert.deepEqual(await told(other), ['1', '2', '3']);
});

test('what is remembered does not grow', async () => {
  const ids = ['1', '2'];
  const { page, told, kept } = setup(ids);
  const notices = page();
  await told(notices);
  ids.splice(0, 2, '3');
  await told(notices);
  assert.equal(kept.get('key'), '3');
});

test('the output of the cell says all of it', () => {
  const text = asOutput(notice('1'));
  for (const part of ['Kernel ended', 'too much', '- Read less.\n']) {
    assert.ok(text.includes(part));
  }
});
