import { caretDownIcon, caretUpIcon, LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { count } from '../format';
import type { IEntry, IProblem, SortKey } from '../tokens';
import type { Listing } from './stream';

/** A button that is an icon only. */
export function IconButton(props: {
  hook: string;
  label: string;
  icon: LabIcon;
  onClick: () => void;
  /** Out of the order of the Tab key: its row has keys of its own. */
  inRow?: boolean;
}): JSX.Element {
  return (
    <button
      className="af-icon-button"
      data-af={props.hook}
      title={props.label}
      aria-label={props.label}
      tabIndex={props.inRow ? -1 : 0}
      onClick={event => {
        event.stopPropagation();
        props.onClick();
      }}
    >
      <props.icon.react tag="span" width={props.inRow ? '14px' : '16px'} />
    </button>
  );
}

/** Give the keyboard to the list of a panel, where a button that is going away has it. */
export function focusList(button: HTMLElement): void {
  button
    .closest('[data-af=data-panel]')
    ?.querySelector<HTMLElement>('[data-af=list]')
    ?.focus();
}

/** The head of a column, which sorts by it. */
export function Column<T extends IEntry>(props: {
  listing: Listing<T>;
  sortKey: SortKey;
  label: string;
}): JSX.Element {
  const { listing, sortKey, label } = props;
  const active = listing.sort.key === sortKey;
  const Caret = listing.sort.descending ? caretDownIcon : caretUpIcon;
  const order = listing.sort.descending ? 'descending' : 'ascending';
  return (
    <button
      className={`af-column af-column-${sortKey}`}
      data-af={`sort-${sortKey}`}
      aria-label={`Sort by ${label.toLowerCase()}${active ? `, now ${order}` : ''}`}
      onClick={() => listing.sortBy(sortKey)}
    >
      {label}
      {active && <Caret.react tag="span" width="14px" />}
    </button>
  );
}

/** The box that hides rows by their name. */
export function Filter<T extends IEntry>(props: {
  listing: Listing<T>;
}): JSX.Element {
  return (
    <div className="af-filter">
      <input
        type="search"
        data-af="filter"
        placeholder="Filter by name"
        aria-label="Filter by name"
        value={props.listing.filter}
        onChange={event => props.listing.filterBy(event.target.value)}
      />
    </div>
  );
}

/** A sentence about what went wrong, what still stands, and a way to try again. */
export function Problem(props: {
  problem: IProblem;
  /** What still works or is still shown. */
  rest?: string | null;
  retry: () => void;
}): JSX.Element {
  return (
    <div className="af-notice af-mod-error" data-af="notice" role="alert">
      <p>{props.problem.message}</p>
      {props.rest && <p className="af-dim">{props.rest}</p>}
      <button className="af-button" data-af="retry" onClick={props.retry}>
        Try again
      </button>
    </div>
  );
}

/** Milliseconds after which a wait is called long. */
const LONG_WAIT = 8000;

/** What is under way; a long wait says so, and what works meanwhile. */
export function Waiting(props: {
  text: string;
  rest: string | null;
}): JSX.Element {
  const [long, setLong] = React.useState(false);
  React.useEffect(() => {
    const timer = window.setTimeout(() => setLong(true), LONG_WAIT);
    return () => window.clearTimeout(timer);
  }, []);
  return (
    <div className="af-notice af-dim" data-af="waiting" role="status">
      <p>{props.text}</p>
      {long && (
        <p data-af="long-wait">
          No answer yet; this ends by itself. {props.rest}
        </p>
      )}
    </div>
  );
}

/** What is said instead of rows, or beside those that came before an error. */
export function ListNotice<T extends IEntry>(props: {
  listing: Listing<T>;
  empty: string;
  rest: string | null;
  retry: () => void;
}): JSX.Element | null {
  const { listing } = props;
  const { loading, problem, total, view } = listing;
  if (problem) {
    const kept =
      total > 0
        ? `The list is not whole: ${count(total, 'entry')} came before it broke off.`
        : props.rest;
    return <Problem problem={problem} rest={kept} retry={props.retry} />;
  }
  if (view.length > 0 || loading === 'idle') {
    return null;
  }
  if (loading === 'loading') {
    return <Waiting text="Reading …" rest={props.rest} />;
  }
  return (
    <p className="af-notice af-dim" data-af="notice">
      {total > 0 ? 'No name fits the filter.' : props.empty}
    </p>
  );
}
