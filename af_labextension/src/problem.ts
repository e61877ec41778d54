import type { IProblem } from './tokens';

/** A call that failed, with the server's code and sentence. */
export class RequestError extends Error implements IProblem {
  /**
   * @param code - stable code of the server; `unreachable`, `bad-answer` or `http-<status>` are ours
   * @param message - a sentence for the user
   * @param status - HTTP status, 0 if there was no answer
   */
  constructor(
    readonly code: string,
    message: string,
    readonly status: number
  ) {
    super(message);
    this.name = 'RequestError';
  }
}

/** Whether a value is `{code, message}`. */
export function isProblem(value: unknown): value is IProblem {
  const { code, message } = (value ?? {}) as Partial<IProblem>;
  return typeof code === 'string' && typeof message === 'string';
}

/** What to tell the user about a failed call, whatever failed. */
export function problemOf(error: unknown): IProblem {
  if (isProblem(error)) {
    return { code: error.code, message: error.message };
  }
  return {
    code: 'unexpected',
    message: error instanceof Error ? error.message : String(error)
  };
}

/** Whether a call ended because we ended it. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
