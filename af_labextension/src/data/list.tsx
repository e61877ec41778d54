import {
  copyIcon,
  fileIcon,
  folderIcon,
  LabIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import { formatBytes, formatDate } from '../format';
import { insertIcon } from '../icons';
import type { IRow } from '../tokens';
import { typeAhead } from './listing';
import type { DataModel } from './model';
import { reveal, windowOf } from './window';

/** Pixels of a row; the style sheet says the same. */
const ROW_HEIGHT = 24;

/** Typing after a pause of this many milliseconds begins a new word. */
const TYPING_PAUSE = 800;

/** What a row can do beside being entered. */
export interface IRowActions {
  insert(row: IRow): void;
  copy(row: IRow): void;
}

/** The rows of a folder; only those in sight are in the page. */
export function RowList(props: {
  model: DataModel;
  actions: IRowActions;
}): JSX.Element {
  const { model, actions } = props;
  const box = React.useRef<HTMLDivElement>(null);
  const [top, setTop] = React.useState(0);
  const height = useHeight(box);
  const typed = React.useRef({ text: '', at: 0 });
  const { view, current } = model;

  const place = `${model.door?.name}:${model.path}`;
  React.useEffect(() => {
    // a new folder begins at its top and takes the keyboard where the last one had it
    box.current?.scrollTo({ top: 0 });
  }, [place]);
  React.useEffect(() => {
    if (box.current && current >= 0) {
      box.current.scrollTop = reveal(
        current,
        box.current.scrollTop,
        box.current.clientHeight,
        ROW_HEIGHT
      );
    }
  }, [current, place]);

  const onKeyDown = (event: React.KeyboardEvent) => {
    const page = Math.max(1, Math.floor(height / ROW_HEIGHT) - 1);
    if (handleKey(event, model, actions, page, typed.current)) {
      event.preventDefault();
      event.stopPropagation();
    }
  };

  const { first, last } = windowOf(top, height, ROW_HEIGHT, view.length);
  return (
    <div
      ref={box}
      className="af-list"
      data-af="list"
      data-count={view.length}
      data-state={model.loading}
      role="listbox"
      aria-label={`Content of ${model.path}`}
      aria-busy={model.loading === 'loading'}
      aria-activedescendant={current >= 0 ? rowId(current) : undefined}
      tabIndex={0}
      onScroll={event => setTop(event.currentTarget.scrollTop)}
      onKeyDown={onKeyDown}
    >
      <div
        className="af-list-size"
        style={{ height: view.length * ROW_HEIGHT }}
      >
        {view.slice(first, last).map((row, offset) => (
          <Row
            key={row.name}
            row={row}
            index={first + offset}
            count={view.length}
            current={first + offset === current}
            model={model}
            actions={actions}
          />
        ))}
      </div>
    </div>
  );
}

function Row(props: {
  row: IRow;
  index: number;
  count: number;
  current: boolean;
  model: DataModel;
  actions: IRowActions;
}): JSX.Element {
  const { row, index, count, current, model, actions } = props;
  const directory = row.type === 'directory';
  const Icon = directory ? folderIcon : fileIcon;
  const size = directory ? '' : formatBytes(row.size);
  const date = formatDate(row.modified);
  return (
    <div
      id={rowId(index)}
      className="af-row"
      data-af="row"
      data-name={row.name}
      data-type={row.type}
      role="option"
      aria-selected={current}
      aria-posinset={index + 1}
      aria-setsize={count}
      style={{ top: index * ROW_HEIGHT }}
      title={[row.name, size, date].filter(Boolean).join('\n')}
      onClick={event => {
        model.moveTo(index);
        // the second click of a double click would enter a row of the folder just opened
        if (directory && event.detail < 2) {
          void model.enter(row);
        }
      }}
      onContextMenu={() => model.moveTo(index)}
    >
      <Icon.react tag="span" className="af-row-icon" width="16px" />
      <span className="af-row-name">{row.name}</span>
      <span className="af-row-size">{size}</span>
      <span className="af-row-date">{date.slice(0, 10)}</span>
      <span className="af-row-buttons">
        {!directory && (
          <RowButton
            hook="row-insert"
            label={`Insert code that reads ${row.name}`}
            icon={insertIcon}
            onClick={() => actions.insert(row)}
          />
        )}
        <RowButton
          hook="row-copy"
          label={`Copy the URL of ${row.name}`}
          icon={copyIcon}
          onClick={() => actions.copy(row)}
        />
      </span>
    </div>
  );
}

function RowButton(props: {
  hook: string;
  label: string;
  icon: LabIcon;
  onClick: () => void;
}): JSX.Element {
  return (
    <button
      className="af-icon-button"
      data-af={props.hook}
      title={props.label}
      aria-label={props.label}
      tabIndex={-1}
      onClick={event => {
        event.stopPropagation();
        props.onClick();
      }}
    >
      <props.icon.react tag="span" width="14px" />
    </button>
  );
}

/** Do what a key asks for; true if it meant something. */
function handleKey(
  event: React.KeyboardEvent,
  model: DataModel,
  actions: IRowActions,
  page: number,
  typed: { text: string; at: number }
): boolean {
  const { current, currentRow: row, view } = model;
  const command = event.ctrlKey || event.metaKey;
  if (command && event.key === 'c' && row) {
    actions.copy(row);
    return true;
  }
  if (command || event.altKey) {
    return false;
  }
  const moves: Record<string, number> = {
    ArrowDown: current + 1,
    ArrowUp: Math.max(current - 1, 0),
    PageDown: current + page,
    PageUp: Math.max(current - page, 0),
    Home: 0,
    End: view.length - 1
  };
  const target = moves[event.key];
  if (target !== undefined) {
    model.moveTo(target);
    return true;
  }
  switch (event.key) {
    case 'Enter':
    case 'ArrowRight':
      if (row?.type === 'directory') {
        void model.enter(row);
      } else if (row && event.key === 'Enter') {
        actions.insert(row);
      }
      return true;
    case 'Backspace':
    case 'ArrowLeft':
      void model.up();
      return true;
  }
  return event.key.length === 1 && type(event.key, model, typed);
}

function type(
  key: string,
  model: DataModel,
  typed: { text: string; at: number }
): boolean {
  const now = performance.now();
  const goesOn = now - typed.at < TYPING_PAUSE;
  typed.text = goesOn ? typed.text + key : key;
  typed.at = now;
  const from = goesOn ? model.current : model.current + 1;
  const found = typeAhead(model.view, typed.text, from);
  if (found >= 0) {
    model.moveTo(found);
  }
  return true;
}

function useHeight(box: React.RefObject<HTMLElement>): number {
  const [height, setHeight] = React.useState(0);
  React.useLayoutEffect(() => {
    const node = box.current;
    if (!node) {
      return;
    }
    const observer = new ResizeObserver(() => setHeight(node.clientHeight));
    observer.observe(node);
    setHeight(node.clientHeight);
    return () => observer.disconnect();
  }, [box]);
  return height;
}

function rowId(index: number): string {
  return `af-row-${index}`;
}
