import { ISignal, Signal } from '@lumino/signaling';

import { childPath, parentPath } from '../data/listing';
import { BATCH, Lookup } from '../data/lookup';
import type { ISelection, ISource, SourceState } from '../data/source';
import { Listing } from '../data/stream';
import type { IDoor, IRow, IServer, Library } from '../tokens';

type Entry = Pick<IRow, 'name' | 'type' | 'size' | 'modified'>;

/** A row whose kind, size and date may come after its name. */
type Row = { -readonly [Key in keyof IRow]: IRow[Key] };

/** A storage door the user walks through: one folder, and how it is shown. */
export class FolderModel implements ISource {
  constructor(
    private readonly server: IServer,
    readonly door: IDoor
  ) {
    this.id = `door:${door.name}`;
    this.name = door.name;
    this.title = door.title;
    this.hint = door.url;
    const changed = () => this._changed.emit();
    this.listing = new Listing<Row>(server, {
      keyOf: row => row.name,
      read: line => this.take(line as Row),
      changed
    });
    this.lookup = new Lookup<Row>(
      row => row.name,
      (rows, signal) => this.resolve(rows, signal),
      changed
    );
  }

  readonly id: string;
  readonly name: string;
  readonly kind = 'storage';
  readonly title: string;
  readonly hint: string;
  /** The entries of the folder. */
  readonly listing: Listing<Row>;
  /** Finds out what the entries are where the storage lists names only. */
  readonly lookup: Lookup<Row>;
  /** The folder, relative to the door, beginning with `/`. */
  path = '/';
  /** Entries of which only the name is known. */
  unknown = 0;

  /** Emitted after each change of what is to be drawn. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get state(): SourceState {
    const { loading } = this.listing;
    return loading === 'complete' ? 'ready' : loading;
  }

  get selection(): ISelection | null {
    const row = this.listing.currentRow;
    if (!row) {
      return null;
    }
    const isFile = row.type === 'file' || row.type === 'unknown';
    return {
      code: isFile ? library => this.code(row, library) : null,
      path: childPath(this.path, row.name),
      url: row.url
    };
  }

  activate(): void {
    if (this.listing.loading === 'idle') {
      void this.open('/');
    }
  }

  /**
   * Go to a folder.
   *
   * @param select - name of the row to stand on, for the way back up
   */
  async open(path: string, select?: string): Promise<void> {
    this.path = path;
    this.listing.filter = '';
    await this.load(select);
  }

  /** Read the folder again. */
  async refresh(): Promise<void> {
    await this.load(this.listing.currentRow?.name);
  }

  /** Enter a directory of this folder; what is not known to be one is asked about first. */
  async enter(row: IRow): Promise<void> {
    const known = row.type !== 'unknown' || (await this.lookup.now(row));
    if (known && row.type === 'directory') {
      await this.open(childPath(this.path, row.name));
    }
  }

  /** Go one folder up. */
  async up(): Promise<void> {
    if (this.path !== '/') {
      const from = this.path.slice(this.path.lastIndexOf('/') + 1);
      await this.open(parentPath(this.path), from);
    }
  }

  /** Find out about the rows in sight; in a small folder about all. */
  look(first: number, last: number): void {
    const { total, rows, view } = this.listing;
    if (this.unknown > 0) {
      const seen = total <= BATCH ? rows : view.slice(first, last);
      this.lookup.want(seen.filter(row => row.type === 'unknown'));
    }
  }

  /** Python code that reads a file with the user's token. */
  async code(row: IRow, library: Library): Promise<string> {
    const path = childPath(this.path, row.name);
    const answer = await this.server.json<{ code: string }>(
      `${this.address('code', path)}&library=${library}`
    );
    return answer.code;
  }

  dispose(): void {
    this.listing.stop();
    this.lookup.reset();
    Signal.clearData(this);
  }

  private address(what: string, path: string): string {
    const door = encodeURIComponent(this.door.name);
    return `storage/${door}/${what}?path=${encodeURIComponent(path)}`;
  }

  private async load(select?: string): Promise<void> {
    this.lookup.reset();
    this.unknown = 0;
    await this.listing.load(this.address('list', this.path), select);
  }

  private take(row: Row): Row {
    if (row.type === 'unknown') {
      this.unknown += 1;
      this.listing.grouped = false;
    }
    return row;
  }

  private async resolve(
    rows: readonly Row[],
    signal: AbortSignal
  ): Promise<void> {
    const names = rows.map(row => row.name);
    const { entries } = await this.server.json<{ entries: Entry[] }>(
      `storage/${encodeURIComponent(this.door.name)}/stat`,
      { method: 'POST', body: { path: this.path, names }, signal }
    );
    if (signal.aborted) {
      return;
    }
    const found = new Map(entries.map(entry => [entry.name, entry]));
    for (const row of rows.filter(({ type }) => type === 'unknown')) {
      const { type, size, modified } = found.get(row.name) ?? GONE;
      Object.assign(row, { type, size, modified });
      this.unknown -= row.type === 'unknown' ? 0 : 1;
    }
    if (this.unknown === 0 && this.listing.loading === 'complete') {
      // all is known: from here on it is a list like any other
      this.listing.grouped = true;
      this.listing.rearrange();
    }
  }

  private readonly _changed = new Signal<this, void>(this);
}

/** What is said of an entry that vanished after its folder was listed. */
const GONE = { type: 'gone', size: null, modified: null } as const;
