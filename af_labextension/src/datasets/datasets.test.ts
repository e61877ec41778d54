import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isAbort, RequestError } from '../problem';
import { ScriptedServer } from '../scripted.test';
import { batches, gate, until } from '../streams.test';
import type { ICallOptions, IDid, IDidRow, IReplica } from '../tokens';
import { factsOf, likelyScope, marksOf, searchOf, totalOf } from './did';
import { DatasetsModel, IMemory } from './model';

const DONE = { done: true, count: 0 };
const SCOPES = ['cms', 'user.alice'];
const ALL = 'rucio/search?scope=cms&name=*&type=collection';
const DATASET = '/ZMuMu/Simulated/NANOAOD';
const FILES =
  'rucio/children?scope=cms&name=%2FZMuMu%2FSimulated%2FNANOAOD&type=dataset';

const did = (name: string, type: IDid['type'] = 'dataset') => ({
  scope: 'cms',
  name,
  type,
  bytes: 5
});
const replica = (rse: string, via: IReplica['via'] = 'direct'): IReplica => ({
  rse,
  via,
  pfn: `root://${rse}//f`,
  url: `root://cache//${rse}/f`,
  door: null
});
const forgetful: IMemory = {
  recall: () => Promise.resolve({}),
  remember: () => undefined
};

function catalogue() {
  const server = new ScriptedServer();
  server.on('GET rucio/scopes', () => ({ scopes: SCOPES }));
  server.bodies.set(ALL, batches([did(DATASET)], [DONE]));
  server.bodies.set(FILES, batches([did('/store/f1.root', 'file')], [DONE]));
  const model = new DatasetsModel(server, forgetful);
  return { server, model };
}

async function opened() {
  const made = catalogue();
  made.model.activate();
  await until(() => made.model.state === 'ready');
  return made;
}

const rowsOf = (model: DatasetsModel) =>
  model.level?.listing.view.map(row => row.name);
const first = (model: DatasetsModel) => model.level?.listing.view[0] as IDidRow;

test('a text is looked for anywhere, a pattern and an identifier as they are', () => {
  const search = (text: string) => searchOf(text, 'cms', 'dataset', SCOPES);
  const found = { scope: 'cms', type: 'dataset' };
  assert.deepEqual(search(' ZMuMu '), { ...found, name: '*ZMuMu*' });
  assert.deepEqual(search('/Z*/NANO*'), { ...found, name: '/Z*/NANO*' });
  assert.deepEqual(search(''), { ...found, name: '*' });
  // only a known scope is one: names may hold colons
  assert.deepEqual(search('a:b'), { ...found, name: '*a:b*' });
  assert.deepEqual(search(':b'), { ...found, name: '*:b*' });
  assert.deepEqual(search('user.alice:/a//b:c'), {
    scope: 'user.alice',
    name: '/a//b:c',
    type: 'all'
  });
  assert.deepEqual(search('user.alice:'), {
    scope: 'user.alice',
    name: '*',
    type: 'dataset'
  });
});

test('the first scope is one of the groups of the user', () => {
  const scopes = ['atlas', 'cms', 'open'];
  assert.equal(likelyScope(scopes, ['/users', '/cms/higgs']), 'cms');
  assert.equal(likelyScope(scopes, ['/lhcb']), 'atlas');
  assert.equal(likelyScope([], ['/cms']), '');
});

test('facts and totals are said in words', () => {
  const row = { ...did('x'), size: 5, files: 12, events: null };
  assert.equal(factsOf(row), 'dataset · 12 files');
  assert.equal(
    factsOf({ ...row, type: 'file', files: null, events: 3 }),
    '3 events'
  );
  assert.equal(totalOf(100_000, 2 ** 40, 'file'), '100,000 files · 1.00 TiB');
  assert.equal(totalOf(1, 0, 'entry'), '1 entry');
});

test('at most two marks tell where a file lies, best first', () => {
  const labels = (...replicas: IReplica[]) =>
    marksOf(replicas).map(mark => mark.label);
  assert.deepEqual(labels(), ['no replica']);
  assert.deepEqual(labels(replica('A', 'cache')), ['cache']);
  assert.deepEqual(labels(replica('A', 'cache'), replica('B')), ['cache', 'B']);
  const three = marksOf([replica('A'), replica('B'), replica('C')]);
  assert.deepEqual(
    three.map(mark => mark.label),
    ['A', '+2']
  );
  assert.match(three[1]?.title ?? '', /B\n.*\nC\n/);
});

test('the scope of last time is searched at first, and its names stay whole', async () => {
  const { server } = catalogue();
  const path = 'rucio/search?scope=user.alice&name=*&type=collection';
  server.bodies.set(path, batches([DONE]));
  const model = new DatasetsModel(server, {
    ...forgetful,
    recall: () => Promise.resolve({ scope: 'user.alice' })
  });
  model.activate();
  await until(() => model.state === 'ready');
  assert.equal(model.scope, 'user.alice');
  assert.equal(server.asked.at(-1), `GET ${path}`);
});

test('the way leads down to files, and back without asking again', async () => {
  const { server, model } = await opened();
  await model.enter(first(model));
  assert.deepEqual(rowsOf(model), ['/store/f1.root']);
  assert.equal(model.level?.did?.name, DATASET);
  assert.equal(model.level?.listing.bytes, 5);
  await model.enter(first(model)); // a file has nothing inside
  assert.equal(model.levels.length, 2);
  const asked = server.asked.length;
  await model.up();
  assert.deepEqual(rowsOf(model), [DATASET]);
  assert.equal(server.asked.length, asked);
});

test('a search that comes late does not write over the next', async () => {
  const { server, model } = await opened();
  const { passed, open } = gate();
  server.bodies.set(
    'rucio/search?scope=cms&name=*slow*&type=collection',
    async function* () {
      await passed;
      yield [did('late'), DONE];
    }
  );
  server.bodies.set(
    'rucio/search?scope=cms&name=*fast*&type=collection',
    batches([did('early'), DONE])
  );
  model.typeText('slow');
  const slow = model.search();
  model.typeText('fast');
  await model.search();
  open();
  await slow;
  assert.deepEqual(rowsOf(model), ['early']);
});

test('a search left before its end is begun again on the way back', async () => {
  const { server, model } = await opened();
  const { passed, open } = gate();
  server.bodies.set(ALL, async function* () {
    yield [did(DATASET)];
    await passed;
    yield [DONE];
  });
  const searching = model.search();
  await until(() => rowsOf(model)?.length === 1);
  await model.enter(first(model));
  open();
  await searching;
  server.bodies.set(ALL, batches([did('a'), did('b')], [DONE]));
  await model.up();
  assert.deepEqual(rowsOf(model), ['a', 'b']);
});

test('places are asked for files in sight only, and not for collections', async () => {
  const { server, model } = await opened();
  const bodies: unknown[] = [];
  server.on('POST rucio/replicas', ({ body }: ICallOptions) => {
    bodies.push(body);
    const place = { scope: 'cms', name: '/store/f1.root' };
    return { replicas: [{ ...place, replicas: [replica('A', 'cache')] }] };
  });
  model.look(0, 40);
  await model.enter(first(model));
  assert.equal(model.places.of(first(model)), undefined);
  model.look(0, 40);
  await until(() => model.places.of(first(model)) !== undefined);
  const dids = [{ scope: 'cms', name: '/store/f1.root' }];
  assert.deepEqual(bodies, [{ dids }]);
  model.level?.listing.moveTo(0);
  assert.equal(model.selection?.url, 'root://cache//A/f');
  assert.equal(model.selection?.did, 'cms:/store/f1.root');
});

test('code that is no longer wanted is dropped', async () => {
  const { server, model } = await opened();
  const call = `${FILES.replace('children', 'code')}&library=rdataframe`;
  server.on(`GET ${call}`, ({ signal }) => {
    return new Promise((_, reject) => {
      signal?.addEventListener('abort', () =>
        reject(new DOMException('ended', 'AbortError'))
      );
    });
  });
  const made = model.code(first(model), 'rdataframe');
  assert.equal(model.maker.working?.name, DATASET);
  model.maker.stop();
  await assert.rejects(made, isAbort);
  assert.equal(model.maker.working, null);
});

test('Rucio that does not answer says so, and a retry finds the scopes', async () => {
  const { server, model } = catalogue();
  server.on('GET rucio/scopes', () => {
    throw new RequestError('rucio-away', 'Rucio does not answer.', 502);
  });
  model.activate();
  await until(() => model.state === 'error');
  assert.equal(model.problem?.message, 'Rucio does not answer.');
  server.on('GET rucio/scopes', () => ({ scopes: SCOPES }));
  await model.refresh();
  assert.equal(model.problem, null);
  assert.deepEqual(rowsOf(model), [DATASET]);
});
