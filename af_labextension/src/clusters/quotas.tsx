import * as React from 'react';

import { IDemand, inWords, leftInWords, ownerOf } from './quota';
import { formatMemory } from '../format';
import type { IQuota } from './types';

const TITLES = {
  clusters: 'Clusters',
  workers: 'Workers',
  cores: 'Cores',
  memory: 'Memory',
  gpus: 'GPUs'
} as const;

/** One quota: a bar of what is used and asked for, and a sentence. */
export function QuotaRow({ demand }: { demand: IDemand }): JSX.Element {
  const { quota, asked, over } = demand;
  const share = (amount: number) =>
    quota.limit > 0 ? Math.min(100, (100 * amount) / quota.limit) : 100;
  const used = share(quota.used);
  const sentence =
    asked > 0
      ? `${leftInWords(quota)}; asked for: ${inWords(quota.resource, asked)}`
      : leftInWords(quota);
  return (
    <li
      className="af-quota"
      data-af="quota"
      data-resource={quota.resource}
      data-scope={quota.scope}
      data-name={quota.name}
      data-over={over ? '' : undefined}
      title={sentence}
    >
      <span className="af-bar" aria-hidden="true">
        <i style={{ width: `${used}%` }} />
        <b style={{ width: `${Math.min(100 - used, share(asked))}%` }} />
      </span>
      <span className="af-quota-text">{leftInWords(quota)}</span>
    </li>
  );
}

/** What is in use of every quota, in a few lines at the end of the panel. */
export function QuotaSummary(props: {
  quotas: readonly IQuota[];
}): JSX.Element | null {
  const { quotas } = props;
  if (quotas.length === 0) {
    return null;
  }
  return (
    <details className="af-quotas">
      <summary>Quota left</summary>
      <ul>
        {quotas.map(quota => (
          <li
            key={`${quota.scope} ${quota.name} ${quota.resource}`}
            data-af="quota"
            data-resource={quota.resource}
            data-scope={quota.scope}
            data-name={quota.name}
            title={leftInWords(quota)}
          >
            <span className="af-grow">
              {TITLES[quota.resource]}
              <span className="af-dim"> · </span>
              <bdi className="af-dim">{ownerOf(quota)}</bdi>
            </span>
            <span className="af-number">
              {amount(quota, Math.max(0, quota.limit - quota.used))}
              <span className="af-dim"> of {amount(quota, quota.limit)}</span>
            </span>
          </li>
        ))}
      </ul>
    </details>
  );
}

function amount(quota: IQuota, value: number): string {
  return quota.resource === 'memory'
    ? formatMemory(value)
    : value.toLocaleString('en');
}
