import { ISignal, Signal } from '@lumino/signaling';

import type { IPlace } from '../data/preferences';
import type { ISelection, ISource, SourceState } from '../data/source';
import { Listing, Loading } from '../data/stream';
import { isAbort, problemOf } from '../problem';
import type {
  IDid,
  IDidRow,
  IProblem,
  IServer,
  IStatus,
  Library,
  SearchType
} from '../tokens';
import { CodeMaker } from './code';
import { didRow, didText, likelyScope, query, searchOf } from './did';
import { Places } from './places';

/** Milliseconds after the last key before a search begins by itself. */
const TYPING_PAUSE = 600;

/** Shortest text that is searched for without Enter: shorter ones fit half the catalogue. */
const SHORTEST = 3;

/** What is remembered between two visits. */
export interface IMemory {
  recall(): Promise<IPlace>;
  remember(part: IPlace): void;
}

/** A step of the way: the search, then containers and a dataset. */
export interface ILevel {
  /** What is open; null for the search. */
  readonly did: IDid | null;
  readonly listing: Listing<IDidRow>;
  /** Endpoint of the list. */
  readonly path: string;
}

/** The catalogue of Rucio: scopes, a search, and the way down to files. */
export class DatasetsModel implements ISource {
  constructor(
    private readonly server: IServer,
    private readonly memory: IMemory,
    readonly hint = 'Datasets and files in the catalogue of Rucio'
  ) {
    const changed = () => this._changed.emit();
    this.maker = new CodeMaker(server, changed);
    this.places = new Places(server, changed);
  }

  readonly id = 'rucio';
  readonly name = 'datasets';
  readonly kind = 'datasets';
  readonly title = 'Datasets';
  scopes: readonly string[] = [];
  scope = '';
  /** What was typed into the search box. */
  text = '';
  type: SearchType = 'collection';
  /** The way: first the search; empty before the scopes are known. */
  levels: readonly ILevel[] = [];
  /** Whether the details of the row one stands on are wanted. */
  detailed = false;
  /** Makes code; a large dataset takes a while. */
  readonly maker: CodeMaker;
  /** Where the files in sight lie. */
  readonly places: Places;

  /** Emitted after each change of what is to be drawn. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The last step of the way. */
  get level(): ILevel | null {
    return this.levels[this.levels.length - 1] ?? null;
  }

  /** Why neither scopes nor a search can be shown. */
  get problem(): IProblem | null {
    return this.scopesProblem;
  }

  get state(): SourceState {
    const loading = this.level?.listing.loading ?? this.scopesLoading;
    return loading === 'complete' ? 'ready' : loading;
  }

  get selection(): ISelection | null {
    const row = this.level?.listing.currentRow;
    if (!row) {
      return null;
    }
    const url = this.places.of(row)?.[0]?.url;
    return {
      code: library => this.code(row, library),
      did: didText(row),
      ...(url === undefined ? {} : { url })
    };
  }

  activate(): void {
    if (this.scopesLoading === 'idle') {
      void this.loadScopes();
    }
  }

  async refresh(): Promise<void> {
    const { level } = this;
    if (!level) {
      return this.loadScopes();
    }
    const row = level.listing.currentRow;
    this.places.reset();
    await level.listing.load(level.path, row ? didText(row) : undefined);
  }

  /** Take another scope and search there. */
  choose(scope: string): void {
    if (searchOf(this.text, scope, this.type, this.scopes).scope !== scope) {
      // the text names another scope
      this.text = '';
    }
    this.scope = scope;
    this.memory.remember({ scope });
    void this.search();
  }

  /** Take another kind and search for it. */
  restrict(type: SearchType): void {
    this.type = type;
    void this.search();
  }

  /** Take what was typed; the search begins by itself after a pause. */
  typeText(text: string): void {
    this.text = text;
    clearTimeout(this.timer);
    const length = text.trim().length;
    if (length === 0 || length >= SHORTEST) {
      this.timer = setTimeout(() => void this.search(), TYPING_PAUSE);
    }
    this._changed.emit();
  }

  /** Search now. */
  async search(): Promise<void> {
    clearTimeout(this.timer);
    if (!this.scope) {
      return;
    }
    const search = searchOf(this.text, this.scope, this.type, this.scopes);
    this.scope = search.scope;
    this.levels.forEach(level => level.listing.stop());
    this.levels = [];
    await this.push(null, `rucio/search?${query({ ...search })}`);
  }

  /** Open a container or a dataset; a file has nothing inside. */
  async enter({ scope, name, type }: IDid): Promise<void> {
    if (type !== 'file') {
      this.level?.listing.stop();
      const path = `rucio/children?${query({ scope, name, type })}`;
      await this.push({ scope, name, type }, path);
    }
  }

  /** Go one step back. */
  async up(): Promise<void> {
    await this.backTo(this.levels.length - 2);
  }

  /** Go back to a step of the way; 0 is the search. */
  async backTo(index: number): Promise<void> {
    const level = this.levels[index];
    if (!level || level === this.level) {
      return;
    }
    this.level?.listing.stop();
    this.places.reset();
    this.levels = this.levels.slice(0, index + 1);
    this._changed.emit();
    if (level.listing.loading === 'loading') {
      // it was left before its end
      await level.listing.load(level.path);
    }
  }

  /** Ask where the files in sight lie. */
  look(first: number, last: number): void {
    const listing = this.level?.listing;
    const seen = listing?.view.slice(first, last) ?? [];
    const files = seen.filter(row => row.type === 'file');
    const { currentRow } = listing ?? {};
    if (currentRow?.type === 'file' && !files.includes(currentRow)) {
      files.push(currentRow);
    }
    this.places.lookup.want(files);
  }

  /** Show or hide the details of the row one stands on. */
  showDetails(wanted: boolean): void {
    this.detailed = wanted;
    this._changed.emit();
  }

  /** Python code that reads a file, or all files of a dataset or container. */
  code(did: IDid, library: Library): Promise<string> {
    return this.maker.make(did, library);
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.maker.stop();
    this.levels.forEach(level => level.listing.stop());
    this.places.reset();
    Signal.clearData(this);
  }

  private async loadScopes(): Promise<void> {
    this.asking?.abort();
    const { signal } = (this.asking = new AbortController());
    this.scopesLoading = 'loading';
    this.scopesProblem = null;
    this._changed.emit();
    try {
      const { scope } = await this.memory.recall();
      const { scopes } = await this.server.json<{ scopes: string[] }>(
        'rucio/scopes',
        { signal }
      );
      this.scopes = scopes;
      this.scope =
        scopes.find(each => each === scope) ??
        likelyScope(scopes, await this.groups(signal));
      this.scopesLoading = 'complete';
    } catch (error) {
      if (isAbort(error) || signal.aborted) {
        return;
      }
      this.scopesLoading = 'error';
      this.scopesProblem = problemOf(error);
    }
    this._changed.emit();
    await this.search();
  }

  /** The groups of the user, or none if the status cannot be had: they are a hint only. */
  private async groups(signal: AbortSignal): Promise<readonly string[]> {
    try {
      const call = this.server.json<IStatus>('status', { signal });
      return (await call).identity.groups;
    } catch {
      return [];
    }
  }

  private async push(did: IDid | null, path: string): Promise<void> {
    this.places.reset();
    const listing = new Listing<IDidRow>(this.server, {
      keyOf: didText,
      read: didRow,
      changed: () => this._changed.emit()
    });
    this.levels = [...this.levels, { did, listing, path }];
    await listing.load(path);
  }

  private readonly _changed = new Signal<this, void>(this);
  private scopesLoading: Loading = 'idle';
  private scopesProblem: IProblem | null = null;
  private asking: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
}
