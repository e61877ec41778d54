/** Reading newline-delimited JSON while it arrives. */

/** Longest line taken, in characters: a listing's row is far below, so more is a broken server. */
const LONGEST_LINE = 1024 * 1024;

/**
 * Parse a body of one JSON value a line.
 *
 * Values come in batches, one per chunk of the network, so that a list of 100,000 rows costs a few
 * hundred steps and not as many as it has rows.
 *
 * @throws SyntaxError if a line is not JSON or longer than one MiB
 */
export async function* readLines(
  body: ReadableStream<Uint8Array>
): AsyncGenerator<unknown[], void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      const lines = rest.split('\n');
      rest = done ? '' : (lines.pop() ?? '');
      if (rest.length > LONGEST_LINE) {
        throw new SyntaxError('a line of the answer is too long');
      }
      const batch = lines
        .filter(line => line.trim() !== '')
        .map(line => JSON.parse(line) as unknown);
      if (batch.length > 0) {
        yield batch;
      }
      if (done) {
        return;
      }
    }
  } finally {
    // frees the connection when the caller stops in the middle
    await reader.cancel().catch(() => undefined);
  }
}
