import { Lookup } from '../data/lookup';
import type { IDid, IReplica, IServer } from '../tokens';
import { didText } from './did';

/** Finds out where files lie, for those in sight. */
export class Places {
  /**
   * @param changed - called after each answer
   */
  constructor(
    private readonly server: IServer,
    changed: () => void
  ) {
    this.lookup = new Lookup<IDid>(
      didText,
      (files, signal) => this.locate(files, signal),
      changed
    );
  }

  readonly lookup: Lookup<IDid>;

  /** Where a file lies, best place first; undefined while it is not known. */
  of(file: IDid): readonly IReplica[] | undefined {
    return this.replicas.get(didText(file));
  }

  /** Forget all places; for another list. */
  reset(): void {
    this.lookup.reset();
    this.replicas.clear();
  }

  private async locate(
    files: readonly IDid[],
    signal: AbortSignal
  ): Promise<void> {
    const dids = files.map(({ scope, name }) => ({ scope, name }));
    const answer = await this.server.json<{
      replicas: Array<{ scope: string; name: string; replicas: IReplica[] }>;
    }>('rucio/replicas', { method: 'POST', body: { dids }, signal });
    if (signal.aborted) {
      return;
    }
    // a file that is left out has no replica
    dids.forEach(did => this.replicas.set(didText(did), []));
    for (const { scope, name, replicas } of answer.replicas) {
      this.replicas.set(didText({ scope, name }), replicas);
    }
  }

  private readonly replicas = new Map<string, readonly IReplica[]>();
}
