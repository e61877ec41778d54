import { copyIcon, fileIcon, folderIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { IconButton } from '../data/controls';
import type { IActions } from '../data/source';
import { IRowPlace, placed, VirtualList } from '../data/virtual';
import { formatBytes, formatDate } from '../format';
import { insertIcon, unknownIcon } from '../icons';
import type { IRow, Library } from '../tokens';
import type { FolderModel } from './model';

/** Pixels of a row; the style sheet says the same. */
const ROW_HEIGHT = 24;

const ICONS = {
  directory: folderIcon,
  file: fileIcon,
  unknown: unknownIcon,
  gone: unknownIcon
};

/** What rows know beside themselves. */
interface IProps {
  readonly model: FolderModel;
  readonly library: Library;
  readonly actions: IActions;
}

/** The entries of a folder. */
export function FolderRows(props: IProps): JSX.Element {
  const { model } = props;
  return (
    <VirtualList
      listing={model.listing}
      rowHeight={ROW_HEIGHT}
      label={`Content of ${model.path}`}
      place={`${model.id}:${model.path}`}
      onSight={(first, last) => model.look(first, last)}
      onKey={(event, row) => handleKey(event, row, props)}
      draw={(row, place) => <Row row={row} place={place} {...props} />}
    />
  );
}

function Row(props: IProps & { row: IRow; place: IRowPlace }): JSX.Element {
  const { row, place, model, actions } = props;
  const Icon = ICONS[row.type];
  const size = row.type === 'directory' ? '' : formatBytes(row.size);
  const date = formatDate(row.modified);
  const gone = row.type === 'gone' && 'No longer there';
  return (
    <div
      {...placed(place)}
      className="af-row"
      data-af="row"
      data-name={row.name}
      data-type={row.type}
      title={[row.name, size, date, gone].filter(Boolean).join('\n')}
      onClick={event => {
        if (event.detail > 1) {
          // the second click of a double click belongs to the folder that was there before
          return;
        }
        model.listing.moveTo(place.index);
        void model.enter(row);
      }}
      onContextMenu={() => model.listing.moveTo(place.index)}
    >
      <Icon.react tag="span" className="af-row-icon" width="16px" />
      <span className="af-row-name">{row.name}</span>
      <span className="af-row-size">{size}</span>
      <span className="af-row-date">{date.slice(0, 10)}</span>
      <span className="af-row-buttons">
        {row.type === 'file' && (
          <IconButton
            inRow
            hook="row-insert"
            label={`Insert code that reads ${row.name}`}
            icon={insertIcon}
            onClick={() => insert(row, props)}
          />
        )}
        <IconButton
          inRow
          hook="row-copy"
          label={`Copy the URL of ${row.name}`}
          icon={copyIcon}
          onClick={() => actions.copy(row.url, 'URL')}
        />
      </span>
    </div>
  );
}

function insert(row: IRow, { model, library, actions }: IProps): void {
  actions.insert(() => model.code(row, library));
}

function handleKey(
  event: React.KeyboardEvent,
  row: IRow | null,
  props: IProps
): boolean {
  const { model, actions } = props;
  if ((event.ctrlKey || event.metaKey) && event.key === 'c' && row) {
    actions.copy(row.url, 'URL');
    return true;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) {
    return false;
  }
  switch (event.key) {
    case 'Enter':
      if (row) {
        void act(row, props);
      }
      return true;
    case 'ArrowRight':
      if (row) {
        void model.enter(row);
      }
      return true;
    case 'Backspace':
    case 'ArrowLeft':
      void model.up();
      return true;
  }
  return false;
}

/** Enter a directory, or insert the code of a file; which it is may have to be asked first. */
async function act(row: IRow, props: IProps): Promise<void> {
  const { path } = props.model;
  await props.model.enter(row);
  if (row.type === 'file' && props.model.path === path) {
    insert(row, props);
  }
}
