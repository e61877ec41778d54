/** Reading server-sent events (`text/event-stream`) while they arrive. */

import type { IServerEvent } from './tokens';

/** Longest event taken, in characters: a thousand clusters are below, so more is a broken server. */
const LONGEST_EVENT = 4 * 1024 * 1024;

const LINE_END = /\r\n|\n|\r/;

/**
 * Parse a body of server-sent events.
 *
 * Identifiers and times to wait are left out: our events are whole states, so that nothing has to
 * be asked for again.
 *
 * @returns events, and one without a name for each comment
 * @throws SyntaxError if an event is longer than four MiB
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>
): AsyncGenerator<IServerEvent, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const event = new EventUnderWay();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        // an event without its empty line is not whole
        return;
      }
      rest += decoder.decode(value, { stream: true });
      // a CR at the end may be half of a CRLF
      const held = rest.endsWith('\r') ? '\r' : '';
      const lines = rest.slice(0, rest.length - held.length).split(LINE_END);
      rest = (lines.pop() ?? '') + held;
      if (rest.length + event.length > LONGEST_EVENT) {
        throw new SyntaxError('an event of the answer is too long');
      }
      for (const line of lines) {
        const whole = event.take(line);
        if (whole) {
          yield whole;
        }
      }
    }
  } finally {
    // frees the connection when the caller stops in the middle
    await reader.cancel().catch(() => undefined);
  }
}

/** The lines of the event that is being read. */
class EventUnderWay {
  /** Characters taken so far. */
  length = 0;

  /** Take one line; the event, if that ends it. */
  take(line: string): IServerEvent | null {
    this.length += line.length;
    if (line === '') {
      return this.finish();
    }
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === '') {
      return { name: '', data: '' };
    }
    if (field === 'event') {
      this.name = value ?? '';
    } else if (field === 'data') {
      this.data.push(value ?? '');
    }
    return null;
  }

  private finish(): IServerEvent | null {
    const { name, data } = this;
    this.name = '';
    this.data = [];
    this.length = 0;
    return data.length > 0
      ? { name: name || 'message', data: data.join('\n') }
      : null;
  }

  private name = '';
  private data: string[] = [];
}
