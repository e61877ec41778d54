import { ISignal, Signal } from '@lumino/signaling';

import { DatasetsModel } from '../datasets/model';
import { problemOf, RequestError } from '../problem';
import { FolderModel } from '../storage/model';
import type { IDoor, IProblem, IServer } from '../tokens';
import type { Preferences } from './preferences';
import type { ISource } from './source';

/** What is known of Rucio without asking it. */
interface IRucio {
  readonly available: boolean;
  readonly url?: string | null;
  readonly account?: string | null;
}

/** A source that cannot even be offered: it tells why. */
export class BrokenSource implements ISource {
  constructor(
    readonly kind: 'datasets' | 'storage',
    readonly problem: IProblem,
    private readonly reload: () => Promise<void>
  ) {
    this.id = kind === 'datasets' ? 'rucio' : kind;
    this.name = kind;
    this.title = kind === 'datasets' ? 'Datasets' : 'Storage';
    this.hint = problem.message;
  }

  readonly id: string;
  readonly name: string;
  readonly title: string;
  readonly hint: string;
  readonly state = 'error';
  readonly selection = null;
  readonly changed: ISignal<unknown, void> = new Signal<this, void>(this);

  activate(): void {
    // there is nothing to load
  }

  refresh(): Promise<void> {
    return this.reload();
  }

  dispose(): void {
    // nothing is under way
  }
}

/** The sources of data, side by side: each is there and fails on its own. */
export class SourcesModel {
  constructor(
    private readonly server: IServer,
    private readonly preferences: Preferences
  ) {}

  /** Emitted when sources come or go, another is shown, or the state of one changes. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The sources in their order: datasets, then the doors. */
  get sources(): readonly ISource[] {
    return [...this.datasets, ...this.storage];
  }

  /** The source that is shown. */
  selected: ISource | null = null;
  /** Whether both questions for sources are answered. */
  settled = false;

  /** Ask which sources there are, and show the one of last time. */
  async load(): Promise<void> {
    this.settled = false;
    const { source } = await this.preferences.recall();
    this.wanted = source ?? null;
    await Promise.all([this.loadStorage(), this.loadDatasets()]);
    this.settled = true;
    this.show(this.selected ?? this.fallback());
  }

  /** Show a source, and show it again next time. */
  select(source: ISource): void {
    this.wanted = source.id;
    this.preferences.remember({ source: source.id });
    this.show(source);
  }

  /** Read the shown source again; without any, ask which there are. */
  async refresh(): Promise<void> {
    await (this.selected ? this.selected.refresh() : this.load());
  }

  dispose(): void {
    this.sources.forEach(source => source.dispose());
    Signal.clearData(this);
  }

  private async loadStorage(): Promise<void> {
    let storage: ISource[];
    try {
      const { doors } = await this.server.json<{ doors: IDoor[] }>('storage');
      storage = doors.map(door => new FolderModel(this.server, door));
    } catch (error) {
      const again = () => this.loadStorage();
      storage = [new BrokenSource('storage', problemOf(error), again)];
    }
    this.storage = this.replace(this.storage, storage);
  }

  private async loadDatasets(): Promise<void> {
    let datasets: ISource[] = [];
    try {
      const { available, url, account } =
        await this.server.json<IRucio>('rucio');
      if (available) {
        const hint = [`Rucio ${url ?? ''}`, account && `account ${account}`];
        datasets = [
          new DatasetsModel(
            this.server,
            this.preferences,
            hint.filter(Boolean).join('\n')
          )
        ];
      }
    } catch (error) {
      // an older server extension has no such endpoint: then there are no datasets
      if (!(error instanceof RequestError && error.status === 404)) {
        const again = () => this.loadDatasets();
        datasets = [new BrokenSource('datasets', problemOf(error), again)];
      }
    }
    this.datasets = this.replace(this.datasets, datasets);
  }

  /** What is shown when the source of last time is gone or there was none. */
  private fallback(): ISource | null {
    const all = [...this.storage, ...this.datasets];
    const works = all.find(source => !(source instanceof BrokenSource));
    return works ?? all[0] ?? null;
  }

  /** Put new sources in the place of old ones, and show one of them if one was wanted. */
  private replace(old: readonly ISource[], fresh: ISource[]): ISource[] {
    old.forEach(source => source.dispose());
    fresh.forEach(source =>
      source.changed.connect(() => this._changed.emit(), this)
    );
    const lost = this.selected !== null && old.includes(this.selected);
    const wanted = fresh.find(source => source.id === this.wanted);
    // without a wish the first storage is shown as soon as it is known
    const first = this.wanted === null ? fresh : [];
    const next =
      wanted ??
      (lost ? fresh[0] : undefined) ??
      first.find(source => source instanceof FolderModel);
    if (next && (lost || !this.selected)) {
      this.show(next);
    } else if (lost) {
      this.selected = null;
    }
    this._changed.emit();
    return fresh;
  }

  private show(source: ISource | null): void {
    this.selected = source;
    source?.activate();
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private datasets: readonly ISource[] = [];
  private storage: readonly ISource[] = [];
  private wanted: string | null = null;
}
