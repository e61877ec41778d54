import type { ISettingRegistry } from '@jupyterlab/settingregistry';

/** Where our commands stand in the command palette. */
export const PALETTE_CATEGORY = 'Analysis Facility';

/**
 * Tell a setting of a number of seconds, now and at each change.
 *
 * Without a settings registry the caller's own default stays.
 */
export function followSeconds(
  registry: ISettingRegistry | null,
  plugin: string,
  key: string,
  apply: (seconds: number) => void
): void {
  void registry
    ?.load(plugin)
    .then(settings => {
      const update = () => {
        const value = settings.get(key).composite;
        if (typeof value === 'number') {
          apply(value);
        }
      };
      settings.changed.connect(update);
      update();
    })
    .catch((error: unknown) => {
      console.warn(`Settings of ${plugin} cannot be read.`, error);
    });
}
