import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import { dataIcon } from '../icons';
import { Loading } from '../loading';
import type { IServer } from '../tokens';
import type { Preferences } from './preferences';
import type { IActions, ISelection } from './source';
import type { SourcesModel } from './sources';

/** The module with the content of the panel, which Lab's start does not wait for. */
type View = typeof import('./view');

/** The data panel: a frame, which fetches its content when it is first shown. */
export class DataPanel extends ReactWidget {
  constructor(
    private readonly server: IServer,
    private readonly preferences: Preferences,
    private readonly actions: IActions
  ) {
    super();
    this.id = 'af-data';
    this.title.icon = dataIcon;
    this.title.caption = 'Data: datasets and storage of the facility';
    this.node.dataset.af = 'data-panel';
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'Data');
    this.addClass('af-panel');
  }

  /** The row one stands on. */
  get selection(): ISelection | null {
    return this.content?.model.selected?.selection ?? null;
  }

  override dispose(): void {
    this.content?.model.dispose();
    super.dispose();
  }

  protected override render(): JSX.Element {
    if (!this.content) {
      return (
        <Loading
          panel="data"
          failed={this.failed}
          retry={() => void this.load()}
        />
      );
    }
    const { view, model } = this.content;
    return (
      <view.DataView
        model={model}
        preferences={this.preferences}
        actions={this.actions}
      />
    );
  }

  protected override onBeforeShow(): void {
    if (!this.content) {
      void this.load();
    }
  }

  private async load(): Promise<void> {
    this.failed = false;
    this.update();
    try {
      const view = await import(/* webpackChunkName: "data" */ './view');
      if (this.content || this.isDisposed) {
        return;
      }
      const model = view.makeModel(this.server, this.preferences);
      this.content = { view, model };
      void model.load();
    } catch (error) {
      console.warn('The content of the data panel cannot be loaded.', error);
      this.failed = true;
    }
    this.update();
  }

  private content: { view: View; model: SourcesModel } | null = null;
  private failed = false;
}
