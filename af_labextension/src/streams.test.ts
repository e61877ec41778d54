/** Bodies of streams for unit tests. */

/** A stream of these batches. */
export function batches(
  ...all: unknown[][]
): () => AsyncGenerator<unknown[], void, undefined> {
  return async function* () {
    for (const batch of all) {
      yield await Promise.resolve(batch);
    }
  };
}

/** A door that something waits at until it is opened. */
export function gate(): { passed: Promise<void>; open: () => void } {
  let open: () => void = () => undefined;
  const passed = new Promise<void>(resolve => {
    open = resolve;
  });
  return { passed, open };
}

/** Wait until something holds. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) {
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}
