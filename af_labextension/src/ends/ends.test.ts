import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { IEnd } from '../tokens';
import { Presence } from './presence';
import { Warnings } from './warnings';
import type { IWarning } from './words';
import { due, endInWords, warningOf } from './words';

const NOW = new Date(2026, 10, 28, 17, 30).getTime() / 1000;
const end = (why: IEnd['why'], inSeconds: number, lead = 600): IEnd => ({
  at: NOW + inSeconds,
  why,
  limit: 7200,
  lead
});

function setup() {
  const shown = new Map<string, IWarning>();
  const all: IWarning[] = [];
  const warnings = new Warnings({
    show: warning => {
      all.push(warning);
      shown.set(`${all.length}`, warning);
      return `${all.length}`;
    },
    hide: id => void shown.delete(id)
  });
  return { warnings, shown, all };
}

test('an end is told of in time, of two for want of activity the next one', () => {
  const ends = [
    end('gpu-idle', 560),
    end('idle', 580),
    end('lifetime', 1700, 1800)
  ];
  const told = (now: number) => due(ends, now).map(each => each.why);
  assert.deepEqual(told(NOW), ['gpu-idle', 'lifetime']);
  assert.deepEqual(told(NOW - 60), ['lifetime']);
  assert.deepEqual(told(NOW - 1000), []);
});

test('a warning says when, why and what to do', () => {
  const idle = warningOf(end('idle', 600), [], NOW);
  assert.match(idle.text, /stops at 17:40: .* 2 h 00 min are allowed/);
  assert.deepEqual(idle.remedies, ['keep']);
  const gpu = warningOf(end('gpu-idle', 600), ['A100', 'A100'], NOW);
  assert.match(gpu.text, /its GPUs \(A100\) had no work/);
  assert.deepEqual(gpu.remedies, ['keep', 'profile']);
  const lifetime = warningOf(end('lifetime', 8 * 3600), [], NOW);
  assert.match(lifetime.text, /stops at 2026-11-29 01:30: /);
  assert.deepEqual(lifetime.remedies, ['save']);
  // JupyterLab cuts off what is longer
  assert.ok(lifetime.text.length <= 140, `${lifetime.text.length}`);
});

test('a warning goes away when activity came, and comes again for the next end', () => {
  const { warnings, shown, all } = setup();
  warnings.update([end('idle', 700)], [], NOW);
  assert.equal(shown.size, 0);
  assert.equal(warnings.concerned([end('idle', 700)], NOW), false);
  assert.equal(warnings.concerned([end('idle', 600)], NOW), true);
  warnings.update([end('idle', 600)], [], NOW);
  assert.equal(warnings.concerned([end('idle', 600)], NOW), true);
  warnings.update([end('idle', 590)], [], NOW);
  assert.deepEqual([shown.size, all.length], [1, 1]);
  warnings.update([end('idle', 7200)], [], NOW);
  assert.deepEqual([shown.size, warnings.waiting], [0, false]);
  warnings.update([end('idle', 7200)], [], NOW + 6700);
  assert.deepEqual([shown.size, all.length], [1, 2]);
});

test('a warning is told anew when its end has moved, also past a moment of sleep', () => {
  const { warnings, shown, all } = setup();
  warnings.update([end('idle', 100)], [], NOW);
  warnings.update([end('idle', 400)], [], NOW);
  assert.deepEqual([shown.size, all.length], [1, 2]);
  assert.match(shown.get('2')?.text ?? '', /17:36/);
});

test('a warning that activity takes away is told anew when keeping has failed', () => {
  const { warnings, shown, all } = setup();
  const ends = [end('idle', 600), end('lifetime', 700, 1800)];
  warnings.update(ends, [], NOW);
  warnings.again();
  assert.deepEqual([shown.size, all.length], [1, 2]);
  warnings.update(ends, [], NOW);
  assert.deepEqual([shown.size, all.length], [2, 3]);
  assert.equal(warnings.waiting, true);
});

test('a laptop that slept finds the warning if it still holds', () => {
  const { warnings, shown } = setup();
  const ends = [end('lifetime', 7200, 1800)];
  warnings.update(ends, [], NOW);
  assert.equal(warnings.concerned(ends, NOW + 6000), true);
  warnings.update(ends, [], NOW + 6000);
  assert.equal(shown.size, 1);
  assert.equal(warnings.concerned(ends, NOW + 6000), false);
});

test('the details name every end', () => {
  assert.equal(
    endInWords(end('idle', 600), NOW),
    'Without activity it will be stopped in 10 min.'
  );
  assert.equal(
    endInWords(end('gpu-idle', 60), NOW),
    'Without work on its GPUs it will be stopped in 1 min.'
  );
  assert.equal(endInWords(end('lifetime', 0), NOW), 'Its time is over.');
});

test('work in the page is told of, but not each time, nor where nobody asks', () => {
  const page = new EventTarget();
  let [told, clock] = [0, NOW];
  let pause: number | null = 60;
  new Presence(
    () => void (told += 1),
    () => pause,
    () => clock
  ).watch(page);
  const key = () => page.dispatchEvent(new Event('keydown'));
  page.dispatchEvent(new Event('mousemove'));
  assert.equal(told, 0);
  key();
  key();
  assert.equal(told, 1);
  clock += 60;
  page.dispatchEvent(new Event('wheel'));
  assert.equal(told, 2);
  pause = null;
  clock += 600;
  key();
  assert.equal(told, 2);
});
