import {
  caretDownIcon,
  caretUpIcon,
  homeIcon,
  ReactWidget,
  refreshIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import { count } from '../format';
import { useModel } from '../hooks';
import { dataIcon } from '../icons';
import type { SortKey } from '../tokens';
import { IRowActions, RowList } from './list';
import { crumbs } from './listing';
import type { DataModel } from './model';

/** The data panel: doors, and the folders behind them. */
export class DataPanel extends ReactWidget {
  constructor(
    readonly model: DataModel,
    private readonly actions: IRowActions
  ) {
    super();
    this.id = 'af-data';
    this.title.icon = dataIcon;
    this.title.caption = 'Data: browse the storage of the facility';
    this.node.dataset.af = 'data-panel';
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'Data');
    this.addClass('af-panel');
  }

  protected override render(): JSX.Element {
    return <Panel model={this.model} actions={this.actions} />;
  }

  protected override onBeforeShow(): void {
    if (this.model.loading === 'idle') {
      void this.model.loadDoors();
    }
  }
}

function Panel(props: { model: DataModel; actions: IRowActions }): JSX.Element {
  const { model, actions } = props;
  useModel(model);
  return (
    <>
      <div className="af-panel-head">
        <h2>Data</h2>
        <button
          className="af-icon-button"
          data-af="refresh"
          title="Read again"
          aria-label="Read again"
          onClick={() => void model.refresh()}
        >
          <refreshIcon.react tag="span" width="16px" />
        </button>
      </div>
      {model.door ? (
        <Folder model={model} actions={actions} />
      ) : (
        <Doors model={model} />
      )}
    </>
  );
}

function Doors({ model }: { model: DataModel }): JSX.Element {
  const empty = model.loading === 'complete' && model.doors.length === 0;
  return (
    <>
      <ul className="af-doors">
        {model.doors.map(door => (
          <li key={door.name}>
            <button
              className="af-door"
              data-af="door"
              data-name={door.name}
              title={door.url}
              onClick={() => void model.open(door, '/')}
            >
              <dataIcon.react tag="span" width="16px" />
              <span className="af-door-text">
                <span>{door.title}</span>
                <span className="af-dim">{door.url}</span>
              </span>
            </button>
          </li>
        ))}
      </ul>
      {empty && (
        <p className="af-notice" data-af="notice">
          This facility offers no storage to you.
        </p>
      )}
      <Notice model={model} />
    </>
  );
}

function Folder(props: {
  model: DataModel;
  actions: IRowActions;
}): JSX.Element {
  const { model, actions } = props;
  return (
    <>
      <Breadcrumb model={model} />
      <div className="af-filter">
        <input
          type="search"
          data-af="filter"
          placeholder="Filter by name"
          aria-label="Filter by name"
          value={model.filter}
          onChange={event => model.filterBy(event.target.value)}
        />
      </div>
      <div className="af-columns">
        <Column model={model} sortKey="name" label="Name" />
        <Column model={model} sortKey="size" label="Size" />
        <Column model={model} sortKey="modified" label="Modified" />
      </div>
      <RowList model={model} actions={actions} />
      <Notice model={model} />
      {!model.problem && <Footer model={model} />}
    </>
  );
}

function Breadcrumb({ model }: { model: DataModel }): JSX.Element {
  const door = model.door;
  const steps = crumbs(model.path);
  return (
    <nav
      className="af-breadcrumb"
      data-af="breadcrumb"
      data-path={model.path}
      aria-label="Folder"
    >
      {model.doors.length > 1 && (
        <>
          <button
            title="All storage"
            aria-label="All storage"
            onClick={() => void model.showDoors()}
          >
            <homeIcon.react tag="span" width="14px" />
          </button>
          <span aria-hidden="true">/</span>
        </>
      )}
      <button onClick={() => door && void model.open(door, '/')}>
        {door?.title}
      </button>
      {steps.map((step, index) => (
        <React.Fragment key={step.path}>
          <span aria-hidden="true">/</span>
          <button
            aria-current={index === steps.length - 1 ? 'location' : undefined}
            onClick={() => door && void model.open(door, step.path)}
          >
            {step.name}
          </button>
        </React.Fragment>
      ))}
    </nav>
  );
}

function Column(props: {
  model: DataModel;
  sortKey: SortKey;
  label: string;
}): JSX.Element {
  const { model, sortKey, label } = props;
  const active = model.sort.key === sortKey;
  const Caret = model.sort.descending ? caretDownIcon : caretUpIcon;
  const order = model.sort.descending ? 'descending' : 'ascending';
  return (
    <button
      className={`af-column af-column-${sortKey}`}
      data-af={`sort-${sortKey}`}
      aria-label={`Sort by ${label.toLowerCase()}${active ? `, now ${order}` : ''}`}
      onClick={() => model.sortBy(sortKey)}
    >
      {label}
      {active && <Caret.react tag="span" width="14px" />}
    </button>
  );
}

function Notice({ model }: { model: DataModel }): JSX.Element | null {
  if (model.problem) {
    return (
      <div className="af-notice af-mod-error" data-af="notice" role="alert">
        <p>{model.problem.message}</p>
        <button
          className="af-button"
          data-af="retry"
          onClick={() => void model.refresh()}
        >
          Try again
        </button>
      </div>
    );
  }
  if (model.loading === 'loading' && model.view.length === 0) {
    return (
      <p className="af-notice af-dim" role="status">
        Reading …
      </p>
    );
  }
  if (model.door && model.loading === 'complete' && model.view.length === 0) {
    return (
      <p className="af-notice af-dim" data-af="notice">
        {model.total > 0 ? 'No name fits the filter.' : 'This folder is empty.'}
      </p>
    );
  }
  return null;
}

function Footer({ model }: { model: DataModel }): JSX.Element {
  const shown = model.view.length;
  return (
    <div className="af-footer" role="status">
      {shown < model.total
        ? `${shown.toLocaleString('en')} of ${count(model.total, 'entry')}`
        : count(model.total, 'entry')}
      {model.loading === 'loading' && ' …'}
      {model.leftOut > 0 &&
        ` · ${count(model.leftOut, 'entry')} with a name that cannot be shown`}
    </div>
  );
}
