import { ISignal, Signal } from '@lumino/signaling';

import { problemOf } from '../problem';
import type { IProblem, IServer } from '../tokens';
import { IAsked, overtaken, pendingCard } from './asked';
import { ClusterCalls } from './calls';
import { readSnapshot } from './read';
import type {
  ICluster,
  IClusterRequest,
  IClusterTypes,
  IQuota,
  ISnapshot,
  Scale
} from './types';

const CHANGING: readonly string[] = ['pending', 'starting', 'stopping'];

/** Seconds for which an answer stands against pushes that may have been on their way before it. */
const SETTLING = 5;

/** The user's clusters, as last heard and as just asked for. */
export class ClustersModel {
  /**
   * @param clock - gives seconds since the epoch
   */
  constructor(
    server: IServer,
    private readonly clock: () => number = () => Date.now() / 1000
  ) {
    this.calls = new ClusterCalls(server);
  }

  /** Questions whose answers are not kept here. */
  readonly calls: ClusterCalls;

  /** Emitted after each change of what is to be drawn. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The types of clusters the user may make; null until the first answer. */
  types: IClusterTypes | null = null;
  /** What the user and the user's group may have at once. */
  quotas: readonly IQuota[] = [];
  /** Whether the clusters were heard of at least once. */
  loaded = false;

  /** Why the last question failed or the last answer is not whole, if it is so. */
  get problem(): IProblem | null {
    return this.clustersProblem ?? this.typesProblem;
  }

  /** Clusters, those just asked for first. */
  get clusters(): readonly ICluster[] {
    const hidden = overtaken(this.asked, this.known);
    return [
      ...this.asked.map(each => each.card),
      ...this.known
        .filter(each => !hidden.has(each.id))
        .map(each => this.overlaid(each))
    ];
  }

  /** Whether something is on its way, so that news are to be followed. */
  get changing(): boolean {
    return (
      this.asked.some(each => each.card.state === 'pending') ||
      this.clusters.some(
        each =>
          CHANGING.includes(each.state) ||
          // what a quota holds back may be held for hours
          (each.state === 'running' &&
            each.held === null &&
            each.wanted !== null &&
            each.wanted !== each.workers)
      )
    );
  }

  /** Take what the server pushes. */
  take(raw: unknown): void {
    this.accept(readSnapshot(raw));
    this._changed.emit();
  }

  /** Ask for types (until they are known) and clusters. */
  async refresh(): Promise<void> {
    if (!this.types?.available) {
      await this.askTypes();
    }
    // clusters in the user's own server are there without the facility's service
    if (this.types && (this.types.available || this.types.types.length > 0)) {
      try {
        await this.list();
      } catch (error) {
        this.clustersProblem = problemOf(error);
      }
    }
    this._changed.emit();
  }

  /** Ask for the types again, because they may have gone away or come back. */
  async refreshTypes(): Promise<void> {
    await this.askTypes();
    this._changed.emit();
  }

  /** Make a cluster; its card is there at once and turns into the real one or into a failure. */
  async create(request: IClusterRequest): Promise<void> {
    this.counter += 1;
    const type = this.types?.types.find(each => each.name === request.type);
    const id = `asked-${this.counter}`;
    const asked: IAsked = {
      card: pendingCard(id, request, type, this.clock()),
      request,
      before: new Set(this.known.map(each => each.id))
    };
    this.asked = [asked, ...this.asked];
    this._changed.emit();
    try {
      const made = await this.calls.make(request);
      this.dropAsked(id);
      this.keys.set(made.id, id);
      // a push may have told of it before, and what came later
      if (!this.known.some(each => each.id === made.id)) {
        this.put(made);
      }
    } catch (error) {
      const reason = problemOf(error).message;
      this.asked = this.asked.map(each =>
        each === asked
          ? { ...each, card: { ...each.card, state: 'failed', reason } }
          : each
      );
    }
    this._changed.emit();
  }

  /** Change the number of workers. */
  async scale(id: string, scale: Scale): Promise<void> {
    const { told } = this;
    const answer = await this.calls.scale(id, scale);
    // what was told meanwhile may be newer; if it is not, the change itself is told next
    if (told === this.told) {
      this.put(answer);
    }
    this._changed.emit();
  }

  /** Shut a cluster down, or take one that failed off the list; it shows as stopping at once. */
  async shutdown(id: string): Promise<void> {
    this.stopping.set(id, Infinity);
    this._changed.emit();
    try {
      await this.calls.stop(id);
      this.stopping.set(id, this.clock() + SETTLING);
    } catch (error) {
      this.stopping.delete(id);
      this._changed.emit();
      throw error;
    }
    await this.refresh();
  }

  /** Take away the card of a cluster that could not be made. */
  dismiss(id: string): void {
    this.dropAsked(id);
    this._changed.emit();
  }

  /** What was asked for by a card that is only here, because its cluster could not be made. */
  requestOf(id: string): IClusterRequest | null {
    return this.asked.find(each => each.card.id === id)?.request ?? null;
  }

  /** What stays the same when the card of a cluster just asked for turns into the real one. */
  readonly keyOf = (cluster: ICluster): string =>
    this.keys.get(cluster.id) ?? cluster.id;

  private async askTypes(): Promise<void> {
    try {
      this.types = await this.calls.types();
      this.typesProblem = null;
    } catch (error) {
      this.typesProblem = problemOf(error);
    }
    if (this.types && this.quotas.length === 0) {
      this.quotas = this.types.quotas;
    }
  }

  private async list(): Promise<void> {
    this.generation += 1;
    const generation = this.generation;
    const answer = await this.calls.list();
    // an answer that a newer one or a change has overtaken would turn the clock back
    if (generation === this.generation) {
      this.accept(answer);
    }
  }

  private accept({ clusters, quotas, problem }: ISnapshot): void {
    this.generation += 1;
    this.told += 1;
    const now = this.clock();
    const ids = new Set(clusters.map(each => each.id));
    // a cluster that this answer does not know yet
    const settling = this.known.filter(
      each => !ids.has(each.id) && (this.fresh.get(each.id) ?? 0) > now
    );
    ids.forEach(id => this.fresh.delete(id));
    for (const [id, until] of this.stopping) {
      const found = clusters.find(each => each.id === id);
      if (until < now || (until < Infinity && found?.state !== 'running')) {
        this.stopping.delete(id);
      }
    }
    this.known = newestFirst([...settling, ...clusters]);
    this.quotas = quotas ?? this.quotas;
    // what was away is back, and so may be its types
    const back = this.clustersProblem !== null && problem === null;
    this.clustersProblem = problem;
    this.loaded = true;
    if (back) {
      void this.refreshTypes();
    }
  }

  private put(cluster: ICluster): void {
    this.generation += 1;
    const others = this.known.filter(each => each.id !== cluster.id);
    if (others.length === this.known.length) {
      this.fresh.set(cluster.id, this.clock() + SETTLING);
    }
    this.known = newestFirst([cluster, ...others]);
  }

  private overlaid(cluster: ICluster): ICluster {
    return this.stopping.has(cluster.id)
      ? { ...cluster, state: 'stopping' }
      : cluster;
  }

  private dropAsked(id: string): void {
    this.asked = this.asked.filter(each => each.card.id !== id);
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly stopping = new Map<string, number>();
  private readonly fresh = new Map<string, number>();
  private readonly keys = new Map<string, string>();
  private asked: readonly IAsked[] = [];
  private known: readonly ICluster[] = [];
  private clustersProblem: IProblem | null = null;
  private typesProblem: IProblem | null = null;
  private counter = 0;
  private generation = 0;
  private told = 0;
}

function newestFirst(clusters: readonly ICluster[]): readonly ICluster[] {
  return [...clusters].sort((a, b) => b.created_at - a.created_at);
}
