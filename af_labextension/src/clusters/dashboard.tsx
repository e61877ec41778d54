import { IFrame, MainAreaWidget } from '@jupyterlab/apputils';
import {
  ReactWidget,
  refreshIcon,
  Toolbar,
  ToolbarButton
} from '@jupyterlab/ui-components';
import { Panel, Widget } from '@lumino/widgets';
import * as React from 'react';

import { dashboardIcon } from '../icons';
import { problemOf } from '../problem';
import { IPane, paneId } from './panes';
import type { IDashboard } from './types';

/** Asks for the dashboards of a cluster; their addresses are good for a while only. */
export type AskDashboards = (cluster: string) => Promise<readonly IDashboard[]>;

/**
 * A pane of Lab's main area that shows a dashboard.
 *
 * Dashboards are pages of the user's own scheduler, where any worker can write: they may run
 * scripts to draw, and nothing else; without `allow-same-origin` they see neither cookies nor Lab.
 */
export class DashboardPane extends MainAreaWidget<Panel> {
  constructor(
    readonly shows: IPane,
    private readonly ask: AskDashboards
  ) {
    // not Lab's own, which hides what is long in a menu
    super({ content: new Panel(), toolbar: new Toolbar() });
    this.id = paneId(shows);
    this.title.icon = dashboardIcon;
    this.title.label = shows.title;
    this.title.caption = `${shows.title} of ${shows.name}`;
    this.addClass('af-pane');
    this.node.dataset.af = 'dashboard-pane';
    this.node.dataset.title = shows.title;
    this.content.addClass('af-dashboard');
    this.content.addWidget(this.frame);
    this.content.addWidget(this.notice);
    this.toolbar.addItem('cluster', label(this.title.caption));
    this.toolbar.addItem(
      'reload',
      new ToolbarButton({
        icon: refreshIcon,
        tooltip: 'Load the dashboard again',
        dataset: { af: 'pane-reload' },
        onClick: () => void this.load()
      })
    );
    void this.load();
  }

  /** Ask for a fresh ticket and show the dashboard. */
  async load(): Promise<void> {
    this.tell('asking', 'Asking for the dashboard …');
    try {
      const links = await this.ask(this.shows.cluster);
      const link = links.find(each => each.title === this.shows.title);
      if (this.isDisposed) {
        return;
      }
      if (!link) {
        throw new Error('The cluster does not have this dashboard now.');
      }
      this.frame.url = ownAddress(link.url);
      this.tell('shown', null);
    } catch (error) {
      this.tell('problem', problemOf(error).message);
    }
  }

  /** Load it unless it is shown. */
  renew(): void {
    if (this.node.dataset.state !== 'shown') {
      void this.load();
    }
  }

  /** Say that the cluster is over; what the frame shows is a picture of the past. */
  end(): void {
    this.tell('problem', 'The cluster is over, and its dashboard with it.');
  }

  private tell(state: string, text: string | null): void {
    this.node.dataset.state = state;
    this.notice.tell(text, state === 'problem' ? () => void this.load() : null);
  }

  private readonly frame = new IFrame({
    sandbox: ['allow-scripts'],
    referrerPolicy: 'no-referrer'
  });
  private readonly notice = new PaneNotice();
}

/**
 * The address of a dashboard.
 *
 * @throws Error if it does not lie in this Jupyter server
 */
function ownAddress(url: string): string {
  const address = new URL(url, window.location.href);
  if (address.origin !== window.location.origin) {
    throw new Error(
      'This dashboard lies outside this server and is not shown.'
    );
  }
  return address.href;
}

function label(text: string): Widget {
  const widget = new Widget();
  widget.addClass('af-pane-label');
  widget.node.textContent = text;
  return widget;
}

/** A sentence in place of the dashboard. */
class PaneNotice extends ReactWidget {
  constructor() {
    super();
    this.addClass('af-pane-notice');
  }

  tell(text: string | null, retry: (() => void) | null): void {
    this.text = text;
    this.retry = retry;
    this.setHidden(this.text === null);
    this.update();
  }

  protected override render(): JSX.Element {
    return (
      <div
        className={this.retry ? 'af-notice af-mod-error' : 'af-notice af-dim'}
        data-af="pane-notice"
        role={this.retry ? 'alert' : 'status'}
      >
        <p>{this.text}</p>
        {this.retry && (
          <button className="af-button" data-af="retry" onClick={this.retry}>
            Try again
          </button>
        )}
      </div>
    );
  }

  private text: string | null = null;
  private retry: (() => void) | null = null;
}
