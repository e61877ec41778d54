import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RequestError } from '../problem';
import { ScriptedServer } from '../scripted.test';
import { batches, gate, until } from '../streams.test';
import type { ICallOptions, IDoor, IRow } from '../tokens';
import { FolderModel } from './model';

const door: IDoor = { name: 'demo', title: 'Demo', url: 'https://x' };
const DONE = { done: true, count: 0 };
const ROOT = 'storage/demo/list?path=%2F';

const row = (name: string, type: IRow['type'] = 'file'): IRow => ({
  name,
  type,
  size: type === 'unknown' ? null : 1,
  modified: null,
  url: `root://storage.example//${name}`
});
const names = (model: FolderModel) => model.listing.view.map(each => each.name);

interface IQuestion {
  readonly path: string;
  readonly names: string[];
}

/** A folder of names only, and the questions that were asked about them. */
function unknowns(many: readonly string[], kinds: Record<string, string>) {
  const server = new ScriptedServer();
  const questions: IQuestion[] = [];
  server.bodies.set(
    ROOT,
    batches(
      many.map(name => row(name, 'unknown')),
      [DONE]
    )
  );
  server.on('POST storage/demo/stat', ({ body }: ICallOptions) => {
    const question = body as IQuestion;
    questions.push(question);
    const entries = question.names
      .filter(name => name in kinds)
      .map(name => ({ name, type: kinds[name], size: 7, modified: 1 }));
    return { entries };
  });
  return { server, questions, model: new FolderModel(server, door) };
}

test('names are quoted on the way down, and up stands on where one was', async () => {
  const server = new ScriptedServer();
  server.bodies.set(ROOT, batches([row('a b', 'directory')], [DONE]));
  server.bodies.set('storage/demo/list?path=%2Fa%20b', batches([DONE]));
  const model = new FolderModel(server, door);
  await model.open('/');
  assert.equal(model.state, 'ready');
  await model.enter(model.listing.view[0] as IRow);
  assert.equal(model.path, '/a b');
  assert.equal(model.listing.total, 0);
  await model.up();
  assert.equal(model.listing.currentRow?.name, 'a b');
});

test('an error in the middle of a list keeps its rows and tells the sentence', async () => {
  const server = new ScriptedServer();
  const error = { code: 'storage-away', message: 'Storage does not answer.' };
  server.bodies.set(ROOT, batches([row('a')], [{ error }]));
  const model = new FolderModel(server, door);
  await model.open('/');
  assert.deepEqual(names(model), ['a']);
  assert.deepEqual(model.listing.problem, error);
});

test('a list without its last line is not taken for whole', async () => {
  const server = new ScriptedServer();
  server.bodies.set(ROOT, batches([row('a')]));
  const model = new FolderModel(server, door);
  await model.open('/');
  assert.equal(model.state, 'error');
});

test('a folder left in the middle does not write into the next one', async () => {
  const server = new ScriptedServer();
  const { passed, open } = gate();
  server.bodies.set('storage/demo/list?path=%2Fslow', async function* () {
    await passed;
    yield [row('late'), DONE];
  });
  server.bodies.set(
    'storage/demo/list?path=%2Ffast',
    batches([row('early'), DONE])
  );
  const model = new FolderModel(server, door);
  const slow = model.open('/slow');
  await model.open('/fast');
  open();
  await slow;
  assert.deepEqual(names(model), ['early']);
  assert.equal(model.state, 'ready');
});

test('a refused folder says so and a retry reads it again', async () => {
  const server = new ScriptedServer();
  // eslint-disable-next-line require-yield -- it fails before the first row
  server.bodies.set(ROOT, async function* () {
    await Promise.resolve();
    throw new RequestError('forbidden', 'Not for your groups.', 403);
  });
  const model = new FolderModel(server, door);
  await model.open('/');
  assert.equal(model.listing.problem?.message, 'Not for your groups.');
  server.bodies.set(ROOT, batches([DONE]));
  await model.refresh();
  assert.equal(model.listing.problem, null);
});

test('code is asked for with the library of the choice', async () => {
  const server = new ScriptedServer();
  server.on('GET storage/demo/code?path=%2Fx&library=coffea', () => ({
    code: 'x'
  }));
  const model = new FolderModel(server, door);
  assert.equal(await model.code(row('x'), 'coffea'), 'x');
});

test('a small folder of names is resolved whole, then directories come first', async () => {
  const kinds = { a: 'file', z: 'directory' };
  const { model, questions } = unknowns(['a', 'z', 'lost'], kinds);
  await model.open('/');
  assert.deepEqual(names(model), ['a', 'lost', 'z']);
  model.look(0, 1);
  await until(() => model.unknown === 0);
  assert.deepEqual(questions, [{ path: '/', names: ['a', 'z', 'lost'] }]);
  assert.deepEqual(names(model), ['z', 'a', 'lost']);
  const lost = model.listing.view.find(({ name }) => name === 'lost');
  assert.equal(lost?.type, 'gone');
});

test('of a large folder of names only those in sight are asked about, once', async () => {
  const many = Array.from({ length: 1000 }, (_, index) => `f${1000 + index}`);
  const kinds = Object.fromEntries(many.map(name => [name, 'file']));
  const { model, questions } = unknowns(many, kinds);
  await model.open('/');
  model.look(500, 540); // scrolled over: never asked about
  model.look(0, 40);
  await until(() => model.unknown === 960);
  model.look(20, 60);
  await until(() => model.unknown === 940);
  assert.deepEqual(
    questions.map(({ names: asked }) => [asked[0], asked.length]),
    [
      ['f1000', 40],
      ['f1040', 20]
    ]
  );
  assert.deepEqual(names(model), many);
});

test('what an unknown entry is gets asked before it is entered', async () => {
  const { server, model } = unknowns(['d', 'f'], { d: 'directory', f: 'file' });
  server.bodies.set('storage/demo/list?path=%2Fd', batches([DONE]));
  await model.open('/');
  const [first, second] = model.listing.view as [IRow, IRow];
  await model.enter(second);
  assert.equal(model.path, '/');
  assert.equal(second.type, 'file');
  await model.enter(first);
  assert.equal(model.path, '/d');
});

test('an answer about a folder left meanwhile leads nowhere', async () => {
  const { server, model } = unknowns(['d'], {});
  const { passed, open } = gate();
  server.on('POST storage/demo/stat', async () => {
    await passed;
    return { entries: [{ name: 'd', type: 'directory' }] };
  });
  server.bodies.set('storage/demo/list?path=%2Fother', batches([DONE]));
  await model.open('/');
  const entering = model.enter(model.listing.view[0] as IRow);
  await model.open('/other');
  open();
  await entering;
  assert.equal(model.path, '/other');
});

test('a failed question about rows is not repeated until one tries again', async () => {
  const { server, model, questions } = unknowns(['a'], { a: 'file' });
  const answer = server.answers.get('POST storage/demo/stat');
  server.on('POST storage/demo/stat', () => {
    throw new RequestError('storage-away', 'Storage does not answer.', 502);
  });
  await model.open('/');
  model.look(0, 1);
  await until(() => model.lookup.problem !== null);
  const asked = server.asked.length;
  model.look(0, 1);
  await new Promise(resolve => setTimeout(resolve, 120));
  assert.equal(server.asked.length, asked);
  server.answers.set('POST storage/demo/stat', answer as () => unknown);
  model.lookup.retry();
  await until(() => model.unknown === 0);
  assert.equal(questions.length, 1);
});
