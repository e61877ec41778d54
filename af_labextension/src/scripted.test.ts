/** A server for unit tests: answers by method and path, and remembers what it was asked. */

import type { ICallOptions, IServer, IServerEvent } from './tokens';

type Answer = (options: ICallOptions) => unknown;

export class ScriptedServer implements IServer {
  readonly asked: string[] = [];
  readonly answers = new Map<string, Answer>();
  readonly bodies = new Map<
    string,
    (signal: AbortSignal) => AsyncIterable<unknown[]>
  >();

  on(call: string, answer: Answer): void {
    this.answers.set(call, answer);
  }

  async json<T>(path: string, options: ICallOptions = {}): Promise<T> {
    const call = `${options.method ?? 'GET'} ${path}`;
    this.asked.push(call);
    const answer = this.answers.get(call);
    if (!answer) {
      throw new Error(`unexpected call: ${call}`);
    }
    return (await answer(options)) as T;
  }

  async *lines(path: string, signal: AbortSignal): AsyncIterable<unknown[]> {
    this.asked.push(`GET ${path}`);
    const body = this.bodies.get(path);
    if (!body) {
      throw new Error(`unexpected call: ${path}`);
    }
    yield* body(signal);
  }

  /** What `events` gives, by path. */
  readonly streams = new Map<
    string,
    (signal: AbortSignal) => AsyncIterable<IServerEvent>
  >();

  async *events(
    path: string,
    signal: AbortSignal
  ): AsyncIterable<IServerEvent> {
    this.asked.push(`GET ${path}`);
    const stream = this.streams.get(path);
    if (!stream) {
      throw new Error(`unexpected call: ${path}`);
    }
    yield* stream(signal);
  }
}
