import { IFrame, MainAreaWidget } from '@jupyterlab/apputils';

import { daskIcon } from '../icons';
import type { ICluster, IDashboard } from '../tokens';

/**
 * A pane of Lab's main area that shows a dashboard.
 *
 * Dashboards are pages of the user's own scheduler, where any worker can write: they may run
 * scripts to draw, and nothing else; without `allow-same-origin` they see neither cookies nor Lab.
 *
 * @throws Error if the address does not lie in this Jupyter server
 */
export function dashboardPane(
  cluster: ICluster,
  dashboard: IDashboard
): MainAreaWidget<IFrame> {
  const url = new URL(dashboard.url, window.location.href);
  if (url.origin !== window.location.origin) {
    throw new Error(
      'This dashboard lies outside this server and is not shown.'
    );
  }
  const frame = new IFrame({
    sandbox: ['allow-scripts'],
    referrerPolicy: 'no-referrer'
  });
  frame.url = url.href;
  frame.title.icon = daskIcon;
  frame.title.label = dashboard.title;
  frame.title.caption = `${dashboard.title} of ${cluster.title} ${cluster.name}`;
  const pane = new MainAreaWidget({ content: frame });
  pane.id = `af-dashboard-${cluster.id}-${dashboard.title}`;
  pane.node.dataset.af = 'dashboard-pane';
  pane.node.dataset.title = dashboard.title;
  return pane;
}
