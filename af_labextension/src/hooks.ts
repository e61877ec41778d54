import type { ISignal } from '@lumino/signaling';
import { useEffect, useReducer } from 'react';

/** Render again whenever a model says that it changed. */
export function useModel(model: { changed: ISignal<unknown, void> }): void {
  const [, render] = useReducer((turn: number) => turn + 1, 0);
  useEffect(() => {
    const slot = () => render();
    model.changed.connect(slot);
    // the model may have changed between the first rendering and now
    render();
    return () => {
      model.changed.disconnect(slot);
    };
  }, [model]);
}

/**
 * The time, kept up to date.
 *
 * @param interval - milliseconds between two renderings
 * @returns seconds since the epoch
 */
export function useNow(interval: number): number {
  const [now, tick] = useReducer(() => Date.now() / 1000, Date.now() / 1000);
  useEffect(() => {
    const timer = window.setInterval(tick, interval);
    return () => window.clearInterval(timer);
  }, [interval]);
  return now;
}
