import { copyIcon, searchIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  Column,
  Filter,
  focusList,
  IconButton,
  ListNotice,
  Problem,
  Waiting
} from '../data/controls';
import type { IActions } from '../data/source';
import { count } from '../format';
import { insertIcon } from '../icons';
import type { IDid, Library } from '../tokens';
import { Details } from './details';
import { didText, totalOf } from './did';
import type { DatasetsModel, ILevel } from './model';
import { Name } from './name';
import { DidRows } from './rows';
import { Search } from './search';

interface IProps {
  readonly model: DatasetsModel;
  readonly library: Library;
  readonly actions: IActions;
}

/** The catalogue of Rucio: a search, and the way down to files. */
export function DatasetsPanel(
  props: IProps & {
    /** What still works when this does not. */
    rest: string | null;
  }
): JSX.Element {
  const { model, rest } = props;
  const { level } = model;
  if (model.problem) {
    const retry = () => void model.refresh();
    return <Problem problem={model.problem} rest={rest} retry={retry} />;
  }
  if (!level && model.state === 'loading') {
    return <Waiting text="Asking Rucio …" rest={rest} />;
  }
  if (!level) {
    return (
      <p className="af-notice af-dim" data-af="notice" role="status">
        Rucio has no scopes for you yet.
      </p>
    );
  }
  return (
    <>
      <Search model={model} />
      {level.did && <Way {...props} did={level.did} />}
      <Content {...props} level={level} />
    </>
  );
}

function Content(
  props: IProps & { level: ILevel; rest: string | null }
): JSX.Element {
  const { model, actions, level, rest } = props;
  const { listing } = level;
  const empty = level.did
    ? `This ${level.did.type} is empty.`
    : 'Nothing fits this search. Try another scope or kind, or * for all.';
  return (
    <>
      {level.did && <Filter listing={listing} />}
      <div className="af-columns">
        <Column listing={listing} sortKey="name" label="Name" />
        <Column listing={listing} sortKey="size" label="Size" />
      </div>
      <DidRows {...props} />
      <ListNotice
        listing={listing}
        empty={empty}
        rest={rest}
        retry={() => void model.refresh()}
      />
      {model.places.lookup.problem && (
        <Problem
          problem={model.places.lookup.problem}
          rest="The list is right; where its files lie is missing."
          retry={() => model.places.lookup.retry()}
        />
      )}
      <Details model={model} actions={actions} />
      {model.maker.working && (
        <Working model={model} did={model.maker.working} />
      )}
      {!listing.problem && <Footer level={level} />}
    </>
  );
}

/** The way back, and what can be done with what is open. */
function Way(props: IProps & { did: IDid }): JSX.Element {
  const { model, did, library, actions } = props;
  return (
    <div className="af-way">
      <nav className="af-breadcrumb af-dids" aria-label="Way">
        {model.levels.map((level, index) => (
          <Crumb key={level.path} model={model} index={index} level={level} />
        ))}
      </nav>
      <div className="af-way-buttons">
        <button
          className="af-button af-mod-accent"
          data-af="insert-dataset"
          title={`Insert code that reads all files of ${didText(did)}`}
          onClick={() => actions.insert(() => model.code(did, library))}
        >
          <insertIcon.react tag="span" width="14px" />
          Insert code for all files
        </button>
        <IconButton
          hook="copy-did"
          label="Copy the identifier"
          icon={copyIcon}
          onClick={() => actions.copy(didText(did), 'Identifier')}
        />
      </div>
    </div>
  );
}

function Crumb(props: {
  model: DatasetsModel;
  level: ILevel;
  index: number;
}): JSX.Element {
  const { model, level, index } = props;
  const { did } = level;
  const last = index === model.levels.length - 1;
  return (
    <button
      data-af="did-crumb"
      data-scope={did?.scope}
      data-name={did?.name}
      title={did ? didText(did) : 'Back to the search'}
      aria-current={last ? 'location' : undefined}
      style={{ paddingLeft: 4 + 10 * Math.max(index - 1, 0) }}
      onClick={event => {
        focusList(event.currentTarget);
        void model.backTo(index);
      }}
    >
      {did ? (
        <Name text={did.name} strong={last} />
      ) : (
        <>
          <searchIcon.react tag="span" width="14px" />
          &nbsp;Search results
        </>
      )}
    </button>
  );
}

/** Code for many files takes a while. */
function Working(props: { model: DatasetsModel; did: IDid }): JSX.Element {
  const { model, did } = props;
  return (
    <div className="af-working" data-af="working" role="status">
      <span className="af-spinner" aria-hidden="true" />
      <span className="af-grow" title={didText(did)}>
        {did.type === 'file' ? 'Finding the file …' : 'Finding its files …'}
      </span>
      <button
        className="af-button"
        data-af="stop"
        onClick={() => model.maker.stop()}
      >
        Stop
      </button>
    </div>
  );
}

function Footer({ level }: { level: ILevel }): JSX.Element {
  const { view, total, bytes, loading, truncated } = level.listing;
  const kind = level.did?.type === 'dataset' ? 'file' : 'entry';
  const all = totalOf(total, bytes, kind);
  return (
    <div className="af-footer" role="status">
      {view.length < total
        ? `${view.length.toLocaleString('en')} of ${count(total, kind)}`
        : all}
      {loading === 'loading' && ' …'}
      {truncated &&
        (level.did
          ? ' · cut off here, there are more'
          : ' · there are more, narrow the search')}
    </div>
  );
}
