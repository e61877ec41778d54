/** Which rows of a long list are worth drawing. Pure. */

/** A span of rows, `last` excluded. */
export interface IWindow {
  readonly first: number;
  readonly last: number;
}

/** Rows drawn above and below what can be seen, so that scrolling shows no gap. */
const OVERSCAN = 8;

/** Most rows drawn at once, however tall the panel is. */
const MOST_ROWS = 96;

/**
 * The rows to draw.
 *
 * @param top - pixels scrolled
 * @param height - pixels of the list that can be seen
 * @param rowHeight - pixels of a row
 * @param count - rows in all
 */
export function windowOf(
  top: number,
  height: number,
  rowHeight: number,
  count: number
): IWindow {
  const seen = Math.ceil(Math.max(height, 0) / rowHeight);
  const first = Math.min(
    Math.max(Math.floor(top / rowHeight) - OVERSCAN, 0),
    Math.max(count - 1, 0)
  );
  const size = Math.min(seen + 2 * OVERSCAN, MOST_ROWS);
  return { first, last: Math.min(first + size, count) };
}

/**
 * Where to scroll so that a row can be seen; unchanged if it can be seen already.
 *
 * @returns pixels from the top
 */
export function reveal(
  index: number,
  top: number,
  height: number,
  rowHeight: number
): number {
  const start = index * rowHeight;
  if (start < top) {
    return start;
  }
  return Math.max(top, start + rowHeight - height);
}
