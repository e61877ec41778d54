import type { IMemoryNotice, IServer } from '../tokens';

/** Where it is remembered which notices were seen: a part of `localStorage`. */
export interface IMemo {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** What the guard of the server's memory has to tell, each thing once. */
export class Notices {
  /**
   * @param key - under which the memo keeps this server's notices
   */
  constructor(
    private readonly server: IServer,
    private readonly memo: IMemo,
    private readonly key: string
  ) {
    this.seen = new Set((this.memo.getItem(this.key) ?? '').split(' '));
  }

  /** Ask; what was not told in this page, nor in an earlier one, oldest first. */
  async fetch(): Promise<readonly IMemoryNotice[]> {
    const { notices } = await this.server.json<{ notices: IMemoryNotice[] }>(
      'memory'
    );
    const fresh = notices.filter(({ id }) => !this.seen.has(id));
    for (const { id } of fresh) {
      this.seen.add(id);
    }
    if (fresh.length > 0) {
      // other pages that are open tell it, too: only later ones read this
      this.memo.setItem(this.key, notices.map(({ id }) => id).join(' '));
    }
    return fresh;
  }

  private readonly seen: Set<string>;
}

/** A notice as the output of the cell that was running. */
export function asOutput(notice: IMemoryNotice): string {
  const advice = notice.advice.map(sentence => `- ${sentence}\n`).join('');
  return `${notice.title}\n\n${notice.text}\n\n${advice}`;
}
