import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readEvents } from './events';
import type { IServerEvent } from './tokens';

const bytes = (text: string) => new TextEncoder().encode(text);

function body(...chunks: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: controller => {
      chunks.forEach(chunk => controller.enqueue(chunk));
      controller.close();
    }
  });
}

async function all(
  stream: ReadableStream<Uint8Array>
): Promise<IServerEvent[]> {
  const found: IServerEvent[] = [];
  for await (const event of readEvents(stream)) {
    found.push(event);
  }
  return found;
}

test('events are read however the network cuts them', async () => {
  for (const end of ['\n', '\r\n', '\r']) {
    const text = [
      ': hello',
      '',
      'event: clusters',
      'id: 7',
      'data: {"name":',
      'data: "Zμμ"}',
      '',
      'data:plain',
      '',
      'event: nothing',
      '',
      ''
    ].join(end);
    const expected = [
      { name: '', data: '' },
      { name: 'clusters', data: '{"name":\n"Zμμ"}' },
      { name: 'message', data: 'plain' }
    ];
    const whole = bytes(text);
    for (let cut = 0; cut <= whole.length; cut += 1) {
      assert.deepEqual(
        await all(body(whole.slice(0, cut), whole.slice(cut), bytes(end))),
        expected,
        `${JSON.stringify(end)} cut at ${cut}`
      );
    }
  }
});

test('an event that is cut off is not told', async () => {
  const text = 'data: a\n\nevent: clusters\ndata: {"clusters": [';
  assert.deepEqual(await all(body(bytes(text))), [
    { name: 'message', data: 'a' }
  ]);
});

test('an event without an end is refused', async () => {
  const piece = bytes('x'.repeat(1024 * 1024));
  const line = body(bytes('data: '), ...Array.from({ length: 5 }, () => piece));
  await assert.rejects(all(line), SyntaxError);
  const lines = body(
    ...Array.from({ length: 5 }, () => bytes(`data: ${'x'.repeat(2 ** 20)}\n`))
  );
  await assert.rejects(all(lines), SyntaxError);
});
