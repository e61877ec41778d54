import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { readEvents } from './events';
import { readLines } from './ndjson';
import { isAbort, isProblem, RequestError } from './problem';
import type { ICallOptions, IServer, IServerEvent } from './tokens';

/** Longest wait for a JSON answer, in milliseconds; streams have no limit but their reader's. */
const TIMEOUT = 60_000;

/** The only place of the front end that fetches. */
export class Server implements IServer {
  constructor(private readonly settings = ServerConnection.makeSettings()) {}

  async json<T>(path: string, options: ICallOptions = {}): Promise<T> {
    const timeout = new AbortController();
    const abort = () => timeout.abort();
    const timer = window.setTimeout(abort, options.timeout ?? TIMEOUT);
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      const response = await this.fetch(path, {
        method: options.method ?? 'GET',
        signal: timeout.signal,
        ...(options.body === undefined
          ? {}
          : { body: JSON.stringify(options.body) })
      });
      if (response.status === 204) {
        return undefined as T;
      }
      return (await parse(response)) as T;
    } catch (error) {
      if (isAbort(error) && !options.signal?.aborted) {
        throw new RequestError(
          'unreachable',
          'The server did not answer in time. Try again.',
          0
        );
      }
      throw error;
    } finally {
      window.clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
    }
  }

  lines(
    path: string,
    signal: AbortSignal
  ): AsyncGenerator<unknown[], void, undefined> {
    return this.stream(path, signal, readLines);
  }

  // not an EventSource, which can carry neither token nor XSRF cookie in a header
  events(
    path: string,
    signal: AbortSignal
  ): AsyncGenerator<IServerEvent, void, undefined> {
    return this.stream(path, signal, readEvents);
  }

  private async *stream<T>(
    path: string,
    signal: AbortSignal,
    read: (body: ReadableStream<Uint8Array>) => AsyncGenerator<T>
  ): AsyncGenerator<T, void, undefined> {
    const response = await this.fetch(path, { signal });
    if (!response.body) {
      throw badAnswer(response.status);
    }
    try {
      yield* read(response.body);
    } catch (error) {
      if (isAbort(error)) {
        throw error;
      }
      if (error instanceof SyntaxError) {
        throw badAnswer(response.status);
      }
      throw new RequestError(
        'unreachable',
        'The connection to the server broke off. Try again.',
        0
      );
    }
  }

  private async fetch(path: string, init: RequestInit): Promise<Response> {
    const url = URLExt.join(this.settings.baseUrl, 'af', path);
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(url, init, this.settings);
    } catch (error) {
      if (isAbort(error) || init.signal?.aborted) {
        throw new DOMException('ended by the caller', 'AbortError');
      }
      throw new RequestError(
        'unreachable',
        'The Jupyter server cannot be reached. Check the network, or that the server still runs.',
        0
      );
    }
    if (!response.ok) {
      throw await failure(response);
    }
    return response;
  }
}

async function parse(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch (error) {
    if (isAbort(error)) {
      throw error;
    }
    throw badAnswer(response.status);
  }
}

async function failure(response: Response): Promise<RequestError> {
  const body: unknown = await response.json().catch(() => null);
  if (isProblem(body)) {
    return new RequestError(body.code, body.message, response.status);
  }
  return new RequestError(
    `http-${response.status}`,
    response.status === 404
      ? 'The server extension of the facility is not running in this Jupyter server.'
      : `The server answered with status ${response.status}.`,
    response.status
  );
}

function badAnswer(status: number): RequestError {
  return new RequestError(
    'bad-answer',
    'The server sent an answer that cannot be read.',
    status
  );
}
