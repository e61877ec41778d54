import { closeIcon, copyIcon, linkIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { IconButton } from '../data/controls';
import type { IActions } from '../data/source';
import { formatBytes } from '../format';
import type { IDidRow, IReplica } from '../tokens';
import { didText, factsOf } from './did';
import type { DatasetsModel } from './model';

/** What is known about the row one stands on, and where it can be read. */
export function Details(props: {
  model: DatasetsModel;
  actions: IActions;
}): JSX.Element | null {
  const { model, actions } = props;
  const row = model.level?.listing.currentRow;
  if (!row || !model.detailed) {
    return null;
  }
  const facts = [formatBytes(row.size), factsOf(row)];
  return (
    <section
      className="af-drawer"
      data-af="details"
      data-scope={row.scope}
      data-name={row.name}
      aria-label={`Details of ${row.name}`}
    >
      <div className="af-drawer-head">
        <bdi className="af-drawer-did">
          {didText(row)
            .split('/')
            .map((part, index) => (
              <React.Fragment key={index}>
                {index > 0 && '/'}
                {/* a place where the line may break; it is not part of the text */}
                <wbr />
                {part}
              </React.Fragment>
            ))}
        </bdi>
        <IconButton
          hook="copy-did"
          label="Copy the identifier"
          icon={copyIcon}
          onClick={() => actions.copy(didText(row), 'Identifier')}
        />
        <IconButton
          hook="details-close"
          label="Close the details"
          icon={closeIcon}
          onClick={() => model.showDetails(false)}
        />
      </div>
      <div className="af-dim">{facts.filter(Boolean).join(' · ')}</div>
      {row.type === 'file' && (
        <Replicas model={model} row={row} actions={actions} />
      )}
    </section>
  );
}

function Replicas(props: {
  model: DatasetsModel;
  row: IDidRow;
  actions: IActions;
}): JSX.Element {
  const { model, row, actions } = props;
  const replicas = model.places.of(row);
  if (!replicas) {
    return (
      <p className="af-dim" role="status">
        {model.places.lookup.problem
          ? 'Its places are not known.'
          : 'Asking where it lies …'}
      </p>
    );
  }
  if (replicas.length === 0) {
    return <p>Rucio knows no place where this file can be read now.</p>;
  }
  return (
    <ul className="af-replicas">
      {replicas.map(replica => (
        <Replica
          key={`${replica.rse} ${replica.pfn}`}
          replica={replica}
          actions={actions}
        />
      ))}
    </ul>
  );
}

function Replica(props: { replica: IReplica; actions: IActions }): JSX.Element {
  const { replica, actions } = props;
  const { rse, via, url, pfn } = replica;
  return (
    <li data-af="detail-replica" data-rse={rse} data-via={via}>
      <div className="af-replica-head">
        <span className="af-grow">{rse}</span>
        {via === 'cache' && (
          <span className="af-mark" data-via="cache">
            cache
          </span>
        )}
      </div>
      <Address
        hook="copy-url"
        what="URL"
        help="Address that code in this Lab opens"
        text={url}
        actions={actions}
      />
      {pfn !== url && (
        <Address
          hook="copy-pfn"
          what="PFN"
          help="Address that Rucio has"
          text={pfn}
          actions={actions}
        />
      )}
    </li>
  );
}

function Address(props: {
  hook: string;
  what: string;
  help: string;
  text: string;
  actions: IActions;
}): JSX.Element {
  const { hook, what, help, text, actions } = props;
  return (
    <div className="af-address" title={`${help}\n${text}`}>
      <span className="af-dim">{what}</span>
      <bdi className="af-address-text">{text}</bdi>
      <IconButton
        hook={hook}
        label={`Copy the ${what}`}
        icon={what === 'URL' ? linkIcon : copyIcon}
        onClick={() => actions.copy(text, what)}
      />
    </div>
  );
}
