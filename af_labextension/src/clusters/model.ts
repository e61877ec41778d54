import { ISignal, Signal } from '@lumino/signaling';

import { problemOf } from '../problem';
import type {
  ICluster,
  IClusterRequest,
  IClusterTypes,
  IDashboard,
  IProblem,
  IServer,
  Scale
} from '../tokens';

const CHANGING: readonly string[] = ['pending', 'starting', 'stopping'];

/** The user's clusters, as last heard and as just asked for. */
export class ClustersModel {
  /**
   * @param clock - gives seconds since the epoch
   */
  constructor(
    private readonly server: IServer,
    private readonly clock: () => number = () => Date.now() / 1000
  ) {}

  /** Emitted after each change of what is to be drawn. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The types of clusters the user may make; null until the first answer. */
  types: IClusterTypes | null = null;
  /** Whether the clusters were heard of at least once. */
  loaded = false;
  /** Why the last question failed, if it did. */
  problem: IProblem | null = null;

  /** Clusters, those just asked for first. */
  get clusters(): readonly ICluster[] {
    return [...this.asked, ...this.known.map(each => this.overlaid(each))];
  }

  /** Whether something is on its way, so that it pays to ask often. */
  get changing(): boolean {
    return (
      this.asked.some(each => each.state === 'pending') ||
      this.clusters.some(
        each =>
          CHANGING.includes(each.state) ||
          (each.state === 'running' &&
            each.wanted !== null &&
            each.wanted !== each.workers)
      )
    );
  }

  /** Ask for types (until they are known) and clusters. */
  async refresh(): Promise<void> {
    try {
      if (!this.types?.available) {
        this.types = await this.server.json<IClusterTypes>('clusters/types');
      }
      if (this.types.available) {
        await this.list();
      }
      this.problem = null;
    } catch (error) {
      this.problem = problemOf(error);
    }
    this._changed.emit();
  }

  /** Make a cluster; its card is there at once and turns into the real one or into a failure. */
  async create(request: IClusterRequest): Promise<void> {
    const card = this.pendingCard(request);
    this.asked = [card, ...this.asked];
    this._changed.emit();
    try {
      const made = await this.server.json<ICluster>('clusters', {
        method: 'POST',
        body: request
      });
      this.dropAsked(card.id);
      this.put(made);
    } catch (error) {
      this.asked = this.asked.map(each =>
        each.id === card.id
          ? { ...each, state: 'failed', reason: problemOf(error).message }
          : each
      );
    }
    this._changed.emit();
  }

  /** Change the number of workers. */
  async scale(id: string, scale: Scale): Promise<void> {
    const answer = await this.server.json<ICluster>(address(id), {
      method: 'PATCH',
      body: { scale }
    });
    this.put(answer);
    this._changed.emit();
  }

  /** Shut a cluster down; it shows as stopping at once. */
  async shutdown(id: string): Promise<void> {
    this.stopping.add(id);
    this._changed.emit();
    try {
      await this.server.json<void>(address(id), { method: 'DELETE' });
      await this.refresh();
    } finally {
      this.stopping.delete(id);
      this._changed.emit();
    }
  }

  /** Take away the card of a cluster that could not be made. */
  dismiss(id: string): void {
    this.dropAsked(id);
    this._changed.emit();
  }

  /** Whether a card is only here, because its cluster could not be made. */
  isOnlyHere(id: string): boolean {
    return this.asked.some(each => each.id === id);
  }

  /** The dashboards of a cluster; their addresses are good for a while only. */
  async dashboards(id: string): Promise<readonly IDashboard[]> {
    const answer = await this.server.json<{ links: IDashboard[] }>(
      address(id, 'dashboards')
    );
    return answer.links;
  }

  /** Python code that connects a client to a cluster. */
  async code(id: string): Promise<string> {
    const answer = await this.server.json<{ code: string }>(
      address(id, 'code')
    );
    return answer.code;
  }

  private async list(): Promise<void> {
    this.generation += 1;
    const generation = this.generation;
    const { clusters } = await this.server.json<{ clusters: ICluster[] }>(
      'clusters'
    );
    // an answer that a newer question or a change has overtaken would turn the clock back
    if (generation === this.generation) {
      this.known = [...clusters].sort((a, b) => b.created_at - a.created_at);
      this.loaded = true;
    }
  }

  private put(cluster: ICluster): void {
    this.generation += 1;
    const others = this.known.filter(each => each.id !== cluster.id);
    this.known = [cluster, ...others].sort(
      (a, b) => b.created_at - a.created_at
    );
  }

  private overlaid(cluster: ICluster): ICluster {
    return this.stopping.has(cluster.id)
      ? { ...cluster, state: 'stopping' }
      : cluster;
  }

  private dropAsked(id: string): void {
    this.asked = this.asked.filter(each => each.id !== id);
  }

  private pendingCard(request: IClusterRequest): ICluster {
    this.counter += 1;
    const type = this.types?.types.find(each => each.name === request.type);
    return {
      id: `asked-${this.counter}`,
      name: '',
      type: request.type,
      title: type?.title ?? request.type,
      state: 'pending',
      reason: null,
      workers: 0,
      wanted:
        request.scale.mode === 'fixed'
          ? request.scale.workers
          : request.scale.minimum,
      cores: 0,
      memory: 0,
      scale: request.scale,
      created_at: this.clock(),
      options: request.options
    };
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly stopping = new Set<string>();
  private asked: readonly ICluster[] = [];
  private known: readonly ICluster[] = [];
  private counter = 0;
  private generation = 0;
}

function address(id: string, what?: string): string {
  const base = `clusters/${encodeURIComponent(id)}`;
  return what === undefined ? base : `${base}/${what}`;
}
