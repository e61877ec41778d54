import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  count,
  epochOf,
  formatBytes,
  formatDate,
  formatDuration,
  formatMemory
} from './format';

test('sizes have about three digits', () => {
  assert.equal(formatBytes(0), '0 B');
  assert.equal(formatBytes(1023), '1023 B');
  assert.equal(formatBytes(1024), '1.00 KiB');
  assert.equal(formatBytes(73 * 2 ** 20), '73.0 MiB');
  assert.equal(formatBytes(1023.9 * 2 ** 20), '1.00 GiB');
  assert.equal(formatBytes(2 ** 60), '1024 PiB');
});

test('unknown sizes show nothing', () => {
  assert.equal(formatBytes(null), '');
  assert.equal(formatBytes(-1), '');
  assert.equal(formatBytes(Number.NaN), '');
});

test('round amounts of memory are round', () => {
  assert.equal(formatMemory(4 * 2 ** 30), '4 GiB');
  assert.equal(formatMemory(1.5 * 2 ** 30), '1.5 GiB');
  assert.equal(formatMemory(100 * 2 ** 20), '100 MiB');
  assert.equal(formatMemory(Number.NaN), '');
});

test('durations have at most two units', () => {
  assert.equal(formatDuration(-5), '0 s');
  assert.equal(formatDuration(59.9), '59 s');
  assert.equal(formatDuration(3599), '59 min');
  assert.equal(formatDuration(3 * 3600 + 5 * 60), '3 h 05 min');
  assert.equal(formatDuration(52 * 3600), '2 d 4 h');
});

test('dates come as seconds or as ISO 8601', () => {
  assert.equal(epochOf('1970-01-01T00:01:00Z'), 60);
  assert.equal(epochOf(60), 60);
  assert.equal(epochOf('yesterday'), null);
  assert.equal(formatDate('yesterday'), '');
  assert.equal(formatDate(1e20), '');
  assert.match(formatDate(1790000000), /^2026-09-2\d \d\d:\d\d$/);
});

test('counts agree with their noun', () => {
  assert.equal(count(1, 'worker'), '1 worker');
  assert.equal(count(0, 'worker'), '0 workers');
  assert.equal(count(100000, 'entry'), '100,000 entries');
});
