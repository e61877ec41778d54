/** How long names are cut to fit, without losing what tells them apart. Pure. */

/** Longest end of a name that is always shown, in characters. */
const TAIL = 22;

/** Hebrew, Arabic and their neighbours: two pieces of such a text could change places. */
const RIGHT_TO_LEFT =
  /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]/;

/** A mark that belongs to the character before it, or a joiner. */
const JOINED = /^[\p{M}\u200d]/u;

/**
 * Cut a name into a part that may shrink and an end that stays: names of one dataset differ at
 * their end.
 *
 * @returns both parts; together they are the name
 */
export function headAndTail(name: string): [string, string] {
  if (name.length <= TAIL || RIGHT_TO_LEFT.test(name)) {
    return [name, ''];
  }
  const slash = name.lastIndexOf('/');
  if (slash > 0 && name.length - slash <= TAIL) {
    return [name.slice(0, slash), name.slice(slash)];
  }
  // by code points; a pair of surrogates or a letter and its accents stay together
  const characters = Array.from(name.slice(-2 * TAIL));
  let start = characters.length - (TAIL - 6);
  while (JOINED.test(characters[start] ?? '')) {
    start -= 1;
  }
  if (start <= 0) {
    return [name, ''];
  }
  const tail = characters.slice(start).join('');
  return [name.slice(0, name.length - tail.length), tail];
}
