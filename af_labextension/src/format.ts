/** Numbers as people read them. All functions are pure; time is an argument. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Bytes in one GiB. */
export const GIB = 2 ** 30;

/** An amount of bytes with three digits, such as `1.50 GiB`; nothing for an unknown size. */
export function formatBytes(bytes: number | null): string {
  if (bytes === null || !Number.isFinite(bytes) || bytes < 0) {
    return '';
  }
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** Memory of workers, where round numbers are the rule: `4 GiB`, `1.5 GiB`, `512 MiB`. */
export function formatMemory(bytes: number): string {
  const [value, unit] = formatBytes(bytes).split(' ');
  return unit === undefined ? '' : `${Number(value)} ${unit}`;
}

/** A span of time with one or two units: `45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`. */
export function formatDuration(seconds: number): string {
  const total = Math.max(0, Math.floor(seconds));
  if (total < 60) {
    return `${total} s`;
  }
  const minutes = Math.floor(total / 60);
  if (minutes < 60) {
    return `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 24) {
    return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`;
  }
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Seconds since the epoch of a server's date, which is such a number or an ISO 8601 text. */
export function epochOf(date: number | string | null): number | null {
  if (date === null) {
    return null;
  }
  const seconds = typeof date === 'number' ? date : Date.parse(date) / 1000;
  return Number.isFinite(seconds) ? seconds : null;
}

/** A date as `2026-11-21 14:05` in the reader's time zone; nothing for an unknown one. */
export function formatDate(date: number | string | null): string {
  const seconds = epochOf(date);
  if (seconds === null) {
    return '';
  }
  const local = new Date(seconds * 1000);
  if (Number.isNaN(local.getTime())) {
    return '';
  }
  const two = (value: number) => String(value).padStart(2, '0');
  return (
    `${local.getFullYear()}-${two(local.getMonth() + 1)}-${two(local.getDate())} ` +
    `${two(local.getHours())}:${two(local.getMinutes())}`
  );
}

/** A count with its noun: `1 worker`, `2 workers`, `3 entries`. */
export function count(number: number, noun: string): string {
  const many = noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${number.toLocaleString('en')} ${number === 1 ? noun : many}`;
}
