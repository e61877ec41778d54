import type { IDid, IServer, Library } from '../tokens';
import { query } from './did';

/** Longest wait for code, in milliseconds: the replicas of 100,000 files take Rucio a minute. */
const TIMEOUT = 5 * 60_000;

/** Has the server make code for one identifier at a time. */
export class CodeMaker {
  /**
   * @param changed - called when work begins and ends
   */
  constructor(
    private readonly server: IServer,
    private readonly changed: () => void
  ) {}

  /** What code is being made for. */
  working: IDid | null = null;

  /**
   * Python code that reads a file, or all files of a dataset or container.
   *
   * @throws an abort if other code is asked for meanwhile, or by `stop`
   */
  async make(did: IDid, library: Library): Promise<string> {
    this.stop();
    const running = (this.running = new AbortController());
    this.working = did;
    this.changed();
    try {
      const { scope, name, type } = did;
      const answer = await this.server.json<{ code: string }>(
        `rucio/code?${query({ scope, name, type, library })}`,
        { signal: running.signal, timeout: TIMEOUT }
      );
      return answer.code;
    } finally {
      if (this.running === running) {
        this.working = null;
        this.changed();
      }
    }
  }

  /** Make no code after all. */
  stop(): void {
    this.running?.abort();
  }

  private running: AbortController | null = null;
}
