/** The parts of a card that open by a button. */

import * as React from 'react';

import { count } from '../format';
import type { ICardActions } from './actions';
import { checkScale, scaleForm } from './form';
import { mostOf, perWorker, shortage } from './quota';
import { ScaleFields } from './scale';
import type { ICluster, IDashboard, IQuota, Scale } from './types';

/** Another number of workers. */
export function ScaleForm(props: {
  cluster: ICluster;
  most: number | null;
  quotas: readonly IQuota[];
  onApply: (scale: Scale) => void;
}): JSX.Element {
  const { cluster, most, quotas, onApply } = props;
  const [form, setForm] = React.useState(() =>
    scaleForm(cluster.scale, cluster.workers)
  );
  const checked = checkScale(form, most);
  const scale = 'value' in checked ? checked.value : null;
  const short =
    scale && cluster.backend === 'gateway'
      ? shortage(
          quotas,
          perWorker(cluster.options),
          mostOf(scale) - cluster.workers
        )
      : null;
  return (
    <form
      className="af-card-section"
      aria-label="Scale"
      onSubmit={event => {
        event.preventDefault();
        if (scale) {
          onApply(scale);
        }
      }}
    >
      <ScaleFields
        form={form}
        most={most}
        problems={'problems' in checked ? checked.problems : {}}
        hook="cluster-scale"
        onChange={setForm}
      />
      <p className="af-short" data-af="cluster-scale-short" role="status">
        {short}
      </p>
      <button
        type="submit"
        className="af-button af-mod-accent"
        data-af="cluster-scale-apply"
        disabled={!scale}
      >
        {cluster.workers > 0
          ? `Scale from ${count(cluster.workers, 'worker')}`
          : 'Scale'}
      </button>
    </form>
  );
}

/** The dashboards of a cluster, one button each. */
export function Dashboards(props: {
  cluster: ICluster;
  actions: ICardActions;
}): JSX.Element {
  const { cluster, actions } = props;
  const [links, setLinks] = React.useState<readonly IDashboard[] | null>(null);
  const { id } = cluster;
  React.useEffect(() => {
    let current = true;
    void actions.dashboards(cluster).then(answer => {
      if (current) {
        setLinks(answer);
      }
    });
    return () => {
      current = false;
    };
    // the cluster's object changes with each answer of the server; its id does not
  }, [id]);
  if (links === null || links.length === 0) {
    return (
      <p className="af-card-section af-dim" role="status">
        {links === null
          ? 'Asking for the dashboards …'
          : 'This cluster has no dashboards now.'}
      </p>
    );
  }
  return (
    <div className="af-card-section af-chips">
      {links.map(link => (
        <button
          key={link.title}
          className="af-chip"
          data-af="dashboard-link"
          data-title={link.title}
          onClick={() => actions.openDashboard(cluster, link.title)}
        >
          {link.title}
        </button>
      ))}
    </div>
  );
}
