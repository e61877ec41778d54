import { Popup, showPopup } from '@jupyterlab/statusbar';
import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import { useModel, useNow } from '../hooks';
import { attempt } from '../notify';
import type { StatusDetails } from './details';
import { LoginWatch } from './login';
import type { StatusModel } from './model';
import { summarize } from './summary';

/** Who I am and how long token and server live, always in sight. */
export class StatusItem extends ReactWidget {
  constructor(private readonly model: StatusModel) {
    super();
    this.login = new LoginWatch(model);
    this.addClass('af-status');
  }

  /** Open the details above the item, or close them. */
  toggleDetails(): void {
    if (this.popup) {
      this.popup.dispose();
      return;
    }
    void attempt(async () => {
      const details = await import(
        /* webpackChunkName: "details" */ './details'
      );
      if (!this.popup && !this.isDisposed) {
        this.open(new details.StatusDetails(this.model, this.login));
      }
    });
  }

  private open(body: StatusDetails): void {
    void this.model.refresh();
    if (this.node.getBoundingClientRect().width === 0) {
      // Lab hides the status bar in a narrow window; what is anchored to it would be hidden, too
      body.addClass('af-mod-free');
    }
    this.popup = showPopup({
      body,
      anchor: this,
      align: 'right',
      hasDynamicSize: true
    });
    this.popup.disposed.connect(() => {
      this.popup = null;
      this.update();
      // unless a click has moved the focus, it would be lost with the panel
      if (body.node.contains(document.activeElement)) {
        this.node.querySelector('button')?.focus();
      }
    });
    this.update();
  }

  override dispose(): void {
    this.login.stop();
    super.dispose();
  }

  protected override render(): JSX.Element {
    return (
      <Item
        model={this.model}
        open={this.popup !== null}
        onClick={() => this.toggleDetails()}
      />
    );
  }

  private readonly login: LoginWatch;
  private popup: Popup | null = null;
}

function Item(props: {
  model: StatusModel;
  open: boolean;
  onClick: () => void;
}): JSX.Element {
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
      aria-expanded={props.open}
      onClick={props.onClick}
    >
      <span className="af-dot" data-state={health} aria-hidden="true" />
      <span>{user}</span>
      {token && <span className="af-status-part">token {token}</span>}
      {server && <span className="af-status-part">server {server}</span>}
    </button>
  );
}
