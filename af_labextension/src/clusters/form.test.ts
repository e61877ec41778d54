import assert from 'node:assert/strict';
import { test } from 'node:test';

import { checkForm, checkScale, formOf, initialForm, scaleForm } from './form';
import { typeOf } from './samples.test';
import { fieldsOf, mostWorkers, range } from './schema';

const type = typeOf();

/** The problems of a form with these options. */
function wrong(
  options: Record<string, string>,
  of = type
): Readonly<Record<string, string>> {
  const form = initialForm(of);
  const checked = checkForm(of, {
    ...form,
    options: { ...form.options, ...options }
  });
  return 'problems' in checked ? checked.problems : {};
}

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

test('a form can begin with what was asked for before', () => {
  const request = {
    type: 'local',
    options: { worker_memory: 2 ** 31, gone: 7 },
    scale: { mode: 'fixed' as const, workers: 3 }
  };
  const form = formOf(type, request);
  assert.deepEqual(form.options, { worker_cores: '1', worker_memory: '2' });
  assert.deepEqual([form.mode, form.workers], ['fixed', '3']);
});

test('each field says itself what is wrong with it', () => {
  assert.deepEqual(wrong({ worker_memory: '3', worker_cores: '1.5' }), {
    worker_memory: 'Must be a number: 0.5 to 2 GiB.',
    worker_cores: 'Must be a whole number: 1 to 2.'
  });
  for (const typed of ['', ' ', 'two', '0x1', '1e0', '-1', 'NaN', 'Infinity']) {
    assert.ok('worker_cores' in wrong({ worker_cores: typed }), typed);
  }
});

test('a choice is one of those offered, and shown by its title', () => {
  for (const titles of [['Short', 'Long'], { long: 'Long', short: 'Short' }]) {
    const choice = typeOf({
      queue: { type: 'string', enum: ['short', 'long'], 'x-titles': titles }
    });
    const [field] = fieldsOf(choice);
    assert.deepEqual(field?.choices, [
      { value: 'short', title: 'Short' },
      { value: 'long', title: 'Long' }
    ]);
    assert.equal(initialForm(choice).options['queue'], 'short');
    assert.ok('queue' in wrong({ queue: 'x' }, choice));
  }
});

test('switches and texts are asked for as what they are', () => {
  const other = typeOf({
    spot: { type: 'boolean', default: true },
    note: { type: 'string', maxLength: 3 }
  });
  const form = initialForm(other);
  const checked = checkForm(other, {
    ...form,
    options: { ...form.options, note: 'a b' }
  });
  assert.ok('value' in checked);
  assert.deepEqual(checked.value.options, { spot: true, note: 'a b' });
  assert.ok('note' in wrong({ note: 'long' }, other));
});

test('a type without a schema still has a number of workers', () => {
  const bare = typeOf({});
  const checked = checkForm(bare, initialForm(bare));
  assert.ok('value' in checked);
  assert.deepEqual(checked.value.scale, { mode: 'fixed', workers: 2 });
});

test('scales are whole numbers in order', () => {
  const adaptive = scaleForm({ mode: 'adaptive', minimum: 1, maximum: 3 }, 2);
  assert.deepEqual(checkScale(adaptive, 4), {
    value: { mode: 'adaptive', minimum: 1, maximum: 3 }
  });
  const problems = (
    form: Partial<typeof adaptive>,
    most: number | null = 4
  ) => {
    const checked = checkScale({ ...adaptive, ...form }, most);
    return 'problems' in checked ? Object.keys(checked.problems) : [];
  };
  assert.deepEqual(problems({ minimum: '4' }), ['minimum']);
  assert.deepEqual(problems({ minimum: '-1', maximum: '0' }), [
    'minimum',
    'maximum'
  ]);
  assert.deepEqual(problems({ mode: 'fixed', workers: '5' }), ['workers']);
  assert.deepEqual(problems({ mode: 'fixed', workers: '1e9' }, null), [
    'workers'
  ]);
});
