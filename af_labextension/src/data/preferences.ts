import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { IStateDB } from '@jupyterlab/statedb';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

import type { Library } from '../tokens';

const PLUGIN = 'af-labextension:data';

/** The choices of libraries, as people know them. */
export const LIBRARIES: ReadonlyArray<readonly [Library, string]> = [
  ['uproot', 'uproot'],
  ['coffea', 'coffea'],
  ['rdataframe', 'RDataFrame']
];

/** What is kept for a workspace. */
export interface IPlace {
  /** Identifier of the source. */
  readonly source?: string;
  /** Scope of Rucio. */
  readonly scope?: string;
}

/**
 * What the user chose last: the library in the user's settings, the place in the workspace.
 *
 * Without a settings registry or a state database the choices last until the page is left.
 */
export class Preferences {
  constructor(
    private readonly registry: ISettingRegistry | null,
    private readonly state: IStateDB | null
  ) {
    void this.follow();
  }

  /** Emitted when the library changes. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What inserted code reads files with. */
  library: Library = 'uproot';

  /** Take another library, from now on. */
  choose(library: Library): void {
    this.library = library;
    this._changed.emit();
    void this.registry
      ?.set(PLUGIN, 'library', library)
      .catch((error: unknown) => {
        console.warn('The choice of the library cannot be kept.', error);
      });
  }

  /** What was kept for this workspace, and what was chosen since. */
  async recall(): Promise<IPlace> {
    // read once: what was just saved may not be there yet
    this.kept ??= this.state?.fetch(PLUGIN).catch(() => undefined);
    const { source, scope } = ((await this.kept) ?? {}) as Record<
      string,
      unknown
    >;
    this.place = {
      ...(typeof source === 'string' ? { source } : {}),
      ...(typeof scope === 'string' ? { scope } : {}),
      ...this.place
    };
    return this.place;
  }

  /** Keep a part of the place for this workspace. */
  remember(part: IPlace): void {
    this.place = { ...this.place, ...part };
    void this.state
      ?.save(PLUGIN, this.place as ReadonlyPartialJSONObject)
      .catch((error: unknown) => {
        console.warn('The place in the data panel cannot be kept.', error);
      });
  }

  private async follow(): Promise<void> {
    try {
      const settings = await this.registry?.load(PLUGIN);
      const update = () => {
        const value = settings?.get('library').composite;
        const known = LIBRARIES.find(([name]) => name === value);
        if (known) {
          this.library = known[0];
          this._changed.emit();
        }
      };
      settings?.changed.connect(update);
      update();
    } catch (error) {
      console.warn(`Settings of ${PLUGIN} cannot be read.`, error);
    }
  }

  private kept: Promise<unknown> | undefined;
  private place: IPlace = {};
  private readonly _changed = new Signal<this, void>(this);
}
