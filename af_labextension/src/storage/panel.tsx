import { homeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  Column,
  Filter,
  focusList,
  ListNotice,
  Problem
} from '../data/controls';
import { crumbs } from '../data/listing';
import type { IActions } from '../data/source';
import { count } from '../format';
import type { Library } from '../tokens';
import type { FolderModel } from './model';
import { FolderRows } from './rows';

/** A storage door: the way to a folder, and its entries. */
export function FolderPanel(props: {
  model: FolderModel;
  library: Library;
  actions: IActions;
  /** Whether it is the only source, and has no tab that names it. */
  alone: boolean;
  /** What still works when this does not. */
  rest: string | null;
}): JSX.Element {
  const { model, library, actions, alone, rest } = props;
  const { listing } = model;
  return (
    <>
      <Breadcrumb model={model} named={alone} />
      <Filter listing={listing} />
      <div className="af-columns">
        <Column listing={listing} sortKey="name" label="Name" />
        <Column listing={listing} sortKey="size" label="Size" />
        <Column listing={listing} sortKey="modified" label="Modified" />
      </div>
      <FolderRows model={model} library={library} actions={actions} />
      <ListNotice
        listing={listing}
        empty="This folder is empty."
        rest={rest}
        retry={() => void model.refresh()}
      />
      {model.lookup.problem && (
        <Problem
          problem={model.lookup.problem}
          rest="The names are right; kinds and sizes are missing."
          retry={() => model.lookup.retry()}
        />
      )}
      {!listing.problem && <Footer model={model} />}
    </>
  );
}

function Breadcrumb(props: {
  model: FolderModel;
  named: boolean;
}): JSX.Element {
  const { model, named } = props;
  const steps = crumbs(model.path);
  return (
    <nav
      className="af-breadcrumb"
      data-af="breadcrumb"
      data-path={model.path}
      aria-label="Folder"
    >
      <button
        title={model.hint}
        aria-label={model.title}
        onClick={() => void model.open('/')}
      >
        {named ? model.title : <homeIcon.react tag="span" width="14px" />}
      </button>
      {steps.map((step, index) => (
        <React.Fragment key={step.path}>
          <span aria-hidden="true">/</span>
          <button
            title={step.name}
            aria-current={index === steps.length - 1 ? 'location' : undefined}
            onClick={event => {
              focusList(event.currentTarget);
              void model.open(step.path);
            }}
          >
            {step.name}
          </button>
        </React.Fragment>
      ))}
    </nav>
  );
}

function Footer({ model }: { model: FolderModel }): JSX.Element {
  const { listing, unknown } = model;
  const { view, total, sort } = listing;
  const parts = [
    view.length < total
      ? `${view.length.toLocaleString('en')} of ${count(total, 'entry')}`
      : count(total, 'entry')
  ];
  if (listing.leftOut > 0) {
    parts.push(
      `${count(listing.leftOut, 'entry')} with a name that cannot be shown`
    );
  }
  if (unknown > 0 && sort.key !== 'name') {
    const what = sort.key === 'size' ? 'size' : 'date';
    const known = (total - unknown).toLocaleString('en');
    parts.push(`sorted by the ${known} whose ${what} is known so far`);
  }
  return (
    <div className="af-footer" role="status">
      {parts.join(' · ')}
      {listing.loading === 'loading' && ' …'}
    </div>
  );
}
