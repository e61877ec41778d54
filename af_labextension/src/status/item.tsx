import { Popup, showPopup } from '@jupyterlab/statusbar';
import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import { useModel, useNow } from '../hooks';
import { StatusDetails } from './details';
import type { StatusModel } from './model';
import { summarize } from './summary';

/** Who I am and how long token and server live, always in sight. */
export class StatusItem extends ReactWidget {
  constructor(private readonly model: StatusModel) {
    super();
    this.addClass('af-status');
  }

  /** Open the details above the item, or close them. */
  toggleDetails(): void {
    if (this.popup && !this.popup.isDisposed) {
      this.popup.dispose();
      this.popup = null;
      return;
    }
    void this.model.refresh();
    this.popup = showPopup({
      body: new StatusDetails(this.model),
      anchor: this,
      align: 'right',
      hasDynamicSize: true
    });
  }

  protected override render(): JSX.Element {
    return <Item model={this.model} onClick={() => this.toggleDetails()} />;
  }

  private popup: Popup | null = null;
}

function Item(props: { model: StatusModel; onClick: () => void }): JSX.Element {
  useModel(props.model);
  const now = useNow(5000);
  const { health, user, token, server, title } = summarize(
    props.model.status,
    props.model.problem,
    now
  );
  return (
    <button
      className="af-status-button"
      data-af="status-item"
      data-state={health}
      title={title}
      aria-label={title}
      aria-haspopup="dialog"
      onClick={props.onClick}
    >
      <span className="af-dot" data-state={health} aria-hidden="true" />
      <span>{user}</span>
      {token && <span className="af-status-part">token {token}</span>}
      {server && <span className="af-status-part">server {server}</span>}
    </button>
  );
}
