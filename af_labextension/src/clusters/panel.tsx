import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import { daskIcon } from '../icons';
import { Loading } from '../loading';
import type { Desk } from './desk';

/** The Dask panel: a frame, which fetches its content when it is first shown. */
export class DaskPanel extends ReactWidget {
  /**
   * @param load - fetches what is behind the panel, once
   */
  constructor(private readonly load: () => Promise<Desk>) {
    super();
    this.id = 'af-dask';
    this.title.icon = daskIcon;
    this.title.caption = 'Dask: your clusters';
    this.node.dataset.af = 'dask-panel';
    this.node.dataset.state = 'off';
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'Dask');
    this.addClass('af-panel');
  }

  override dispose(): void {
    this.desk?.dispose();
    super.dispose();
  }

  protected override render(): JSX.Element {
    if (this.desk) {
      return this.desk.render();
    }
    return (
      <Loading
        panel="Dask"
        failed={this.failed}
        retry={() => void this.fill()}
      />
    );
  }

  protected override onAfterShow(): void {
    if (this.desk) {
      this.desk.shown();
    } else {
      void this.fill();
    }
  }

  protected override onAfterHide(): void {
    this.desk?.shown();
  }

  private async fill(): Promise<void> {
    this.failed = false;
    this.update();
    try {
      const desk = await this.load();
      if (this.isDisposed || this.desk) {
        return;
      }
      this.desk = desk;
      desk.feed.changed.connect(({ state }) => {
        this.node.dataset.state = state;
      });
      desk.shown();
    } catch (error) {
      console.warn('The content of the Dask panel cannot be loaded.', error);
      this.failed = true;
    }
    this.update();
  }

  private desk: Desk | null = null;
  private failed = false;
}
