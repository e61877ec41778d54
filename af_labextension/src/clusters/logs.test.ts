import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ALL, LogsModel } from './logsmodel';
import type { ILog } from './types';

const log = (name: string, text: string, truncated = false): ILog => ({
  name,
  text,
  truncated
});

test('one part is shown, or all one after the other', async () => {
  const model = new LogsModel(() =>
    Promise.resolve([log('scheduler', 'a\nb\n', true), log('worker 0', '\n')])
  );
  await model.refresh();
  assert.equal(
    model.text,
    '===== scheduler =====\n… earlier lines are left out\na\nb\n\n' +
      '===== worker 0 =====\n(nothing written yet)'
  );
  model.choose('scheduler');
  assert.equal(model.text, '… earlier lines are left out\na\nb');
  model.choose('worker that is gone');
  assert.match(model.text, /^===== scheduler/);
  model.choose(ALL);
  assert.match(model.text, /===== worker 0/);
});

test('what was read stays when it cannot be read again', async () => {
  let answer = Promise.resolve([log('scheduler', 'a')]);
  const model = new LogsModel(() => answer);
  await model.refresh();
  answer = Promise.reject(new Error('Away.'));
  await model.refresh();
  assert.deepEqual(
    [model.problem?.message, model.loading, model.text.endsWith('a')],
    ['Away.', false, true]
  );
  answer = Promise.resolve([log('scheduler', 'b')]);
  await model.refresh();
  assert.deepEqual([model.problem, model.text.endsWith('b')], [null, true]);
});

test('the answer to the last question counts', async () => {
  const answers: ((logs: ILog[]) => void)[] = [];
  const asked: number[] = [];
  const model = new LogsModel(lines => {
    asked.push(lines);
    return new Promise(resolve => answers.push(resolve));
  });
  const first = model.refresh();
  const second = model.askFor(2000);
  answers[1]?.([log('scheduler', 'many')]);
  answers[0]?.([log('scheduler', 'few')]);
  await Promise.all([first, second]);
  assert.deepEqual(asked, [200, 2000]);
  assert.match(model.text, /many/);
});
