import {
  copyIcon,
  ellipsesIcon,
  fileIcon,
  folderIcon,
  LabIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import { IconButton } from '../data/controls';
import type { IActions } from '../data/source';
import { IRowPlace, placed, VirtualList } from '../data/virtual';
import { formatBytes } from '../format';
import { dataIcon, insertIcon } from '../icons';
import type { IDid, IDidRow, Library } from '../tokens';
import { didText, factsOf, marksOf } from './did';
import type { DatasetsModel, ILevel } from './model';
import { Name } from './name';

/** Pixels of a row; the style sheet says the same. */
const ROW_HEIGHT = 40;

const ICONS: Readonly<Record<IDid['type'], LabIcon>> = {
  container: folderIcon,
  dataset: dataIcon,
  file: fileIcon
};

/** What rows know beside themselves. */
interface IProps {
  readonly model: DatasetsModel;
  readonly library: Library;
  readonly actions: IActions;
}

/** The hits of a search, or what is inside a container or dataset. */
export function DidRows(props: IProps & { level: ILevel }): JSX.Element {
  const { model, level } = props;
  return (
    <VirtualList
      listing={level.listing}
      rowHeight={ROW_HEIGHT}
      label={level.did ? `Content of ${didText(level.did)}` : 'Search results'}
      place={level.path}
      onSight={(first, last) => model.look(first, last)}
      onKey={(event, row) => handleKey(event, row, props)}
      draw={(row, place) => <Row row={row} place={place} {...props} />}
    />
  );
}

function Row(props: IProps & { row: IDidRow; place: IRowPlace }): JSX.Element {
  const { row, place, model, actions } = props;
  const { listing } = model.level ?? {};
  const Icon = ICONS[row.type];
  const isFile = row.type === 'file';
  const size = formatBytes(row.size);
  const facts = factsOf(row);
  return (
    <div
      {...placed(place)}
      className="af-row af-did-row"
      data-af="did-row"
      data-scope={row.scope}
      data-name={row.name}
      data-type={row.type}
      title={[didText(row), facts, size].filter(Boolean).join('\n')}
      onClick={event => {
        if (event.detail > 1) {
          // the second click of a double click belongs to the list that was there before
          return;
        }
        listing?.moveTo(place.index);
        if (isFile) {
          model.showDetails(true);
        } else {
          void model.enter(row);
        }
      }}
      onContextMenu={() => listing?.moveTo(place.index)}
    >
      <Icon.react tag="span" className="af-row-icon" width="16px" />
      <span className="af-did-text">
        <Name text={row.name} />
        <span className="af-did-facts">
          {facts && <span className="af-did-fact">{facts}</span>}
          {isFile && <Marks model={model} row={row} />}
          <span className="af-did-size">{size}</span>
        </span>
      </span>
      <span className="af-did-buttons">
        <IconButton
          inRow
          hook={isFile ? 'row-insert' : 'insert-dataset'}
          label={
            isFile
              ? `Insert code that reads ${row.name}`
              : `Insert code that reads all files of ${row.name}`
          }
          icon={insertIcon}
          onClick={() => actions.insert(() => model.code(row, props.library))}
        />
        <IconButton
          inRow
          hook="row-copy"
          label={`Copy the identifier of ${row.name}`}
          icon={copyIcon}
          onClick={() => actions.copy(didText(row), 'Identifier')}
        />
        <IconButton
          inRow
          hook="row-details"
          label={`Show details of ${row.name}`}
          icon={ellipsesIcon}
          onClick={() => {
            listing?.moveTo(place.index);
            model.showDetails(true);
          }}
        />
      </span>
    </div>
  );
}

/** Where a file can be read, as soon as it is known. */
function Marks(props: {
  model: DatasetsModel;
  row: IDidRow;
}): JSX.Element | null {
  const replicas = props.model.places.of(props.row);
  if (!replicas) {
    return null;
  }
  return (
    <>
      {marksOf(replicas).map(mark => (
        <span
          key={`${mark.rse} ${mark.label}`}
          className="af-mark"
          data-af="replica"
          data-via={mark.via}
          data-rse={mark.rse}
          title={mark.title}
        >
          {mark.label}
        </span>
      ))}
    </>
  );
}

function handleKey(
  event: React.KeyboardEvent,
  row: IDidRow | null,
  props: IProps
): boolean {
  const { model, library, actions } = props;
  if ((event.ctrlKey || event.metaKey) && event.key === 'c' && row) {
    actions.copy(didText(row), 'Identifier');
    return true;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) {
    return false;
  }
  switch (event.key) {
    case 'Enter':
      if (row?.type === 'file') {
        actions.insert(() => model.code(row, library));
      } else if (row) {
        void model.enter(row);
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
    case ' ':
      model.showDetails(!model.detailed);
      return true;
    case 'Escape':
      model.showDetails(false);
      return true;
  }
  return false;
}
