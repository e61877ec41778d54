import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readLines } from './ndjson';

function body(...chunks: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: controller => {
      chunks.forEach(chunk => controller.enqueue(chunk));
      controller.close();
    }
  });
}

async function all(stream: ReadableStream<Uint8Array>): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const batch of readLines(stream)) {
    values.push(...batch);
  }
  return values;
}

const bytes = (text: string) => new TextEncoder().encode(text);

test('lines are read however the network cuts them', async () => {
  const text = '{"name":"Zμμ"}\n\n{"name":"b"}\n{"done":true}';
  const whole = bytes(text);
  const expected = [{ name: 'Zμμ' }, { name: 'b' }, { done: true }];
  for (let cut = 0; cut <= whole.length; cut += 1) {
    const values = await all(body(whole.slice(0, cut), whole.slice(cut)));
    assert.deepEqual(values, expected);
  }
});

test('values arrive before the end of the body', async () => {
  let send: (chunk: Uint8Array) => void = () => undefined;
  const stream = new ReadableStream<Uint8Array>({
    start: controller => {
      send = chunk => controller.enqueue(chunk);
    }
  });
  const reader = readLines(stream);
  send(bytes('1\n2\n3'));
  assert.deepEqual((await reader.next()).value, [1, 2]);
  await reader.return();
});

test('the connection is freed when the caller stops', async () => {
  let cancelled = false;
  const stream = new ReadableStream<Uint8Array>({
    start: controller => controller.enqueue(bytes('1\n')),
    cancel: () => {
      cancelled = true;
    }
  });
  for await (const batch of readLines(stream)) {
    assert.deepEqual(batch, [1]);
    break;
  }
  assert.ok(cancelled);
});

test('what is not JSON is an error', async () => {
  await assert.rejects(all(body(bytes('{"a":1}\n<html>\n'))), SyntaxError);
});

test('a line without end is an error', async () => {
  const chunk = new Uint8Array(2 ** 20 + 1).fill(0x20);
  await assert.rejects(all(body(chunk)), SyntaxError);
});
