/** The content of the data panel: loaded when the panel is first shown, not at Lab's start. */

import { refreshIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { DatasetsModel } from '../datasets/model';
import { DatasetsPanel } from '../datasets/panel';
import { useModel } from '../hooks';
import { FolderModel } from '../storage/model';
import { FolderPanel } from '../storage/panel';
import type { IServer, Library } from '../tokens';
import { IconButton, Problem } from './controls';
import { LIBRARIES, Preferences } from './preferences';
import type { IActions, ISource } from './source';
import { BrokenSource, SourcesModel } from './sources';
import { Tabs } from './tabs';

/** Make the model of the panel. */
export function makeModel(
  server: IServer,
  preferences: Preferences
): SourcesModel {
  return new SourcesModel(server, preferences);
}

/** The data panel: one source at a time, the others one click away. */
export function DataView(props: {
  model: SourcesModel;
  preferences: Preferences;
  actions: IActions;
}): JSX.Element {
  const { model, preferences, actions } = props;
  useModel(model);
  useModel(preferences);
  const { sources, selected, settled } = model;
  // one that answers need not wait for another that does not
  const tabs = sources.length > (settled ? 1 : 0);
  return (
    <>
      <div className="af-panel-head">
        <h2>Data</h2>
        <span className="af-grow" />
        <LibraryChoice preferences={preferences} />
        <IconButton
          hook="refresh"
          label="Read again"
          icon={refreshIcon}
          onClick={() => void model.refresh()}
        />
      </div>
      {tabs && <Tabs model={model} />}
      <div
        id="af-data-source"
        className="af-source"
        role={tabs ? 'tabpanel' : undefined}
        aria-label={selected?.title}
      >
        {selected ? (
          <Source
            key={selected.id}
            source={selected}
            others={sources.filter(source => source !== selected)}
            library={preferences.library}
            actions={actions}
          />
        ) : (
          <p className="af-notice af-dim" data-af="notice" role="status">
            {settled ? 'This facility offers no storage to you.' : 'Asking …'}
          </p>
        )}
      </div>
    </>
  );
}

function Source(props: {
  source: ISource;
  others: readonly ISource[];
  library: Library;
  actions: IActions;
}): JSX.Element | null {
  const { source, others, library, actions } = props;
  const well = others.filter(other => other.state !== 'error');
  const rest =
    well.length > 0
      ? `Still there: ${well.map(other => other.title).join(', ')}.`
      : null;
  const given = { library, actions, rest };
  if (source instanceof FolderModel) {
    return (
      <FolderPanel model={source} alone={others.length === 0} {...given} />
    );
  }
  if (source instanceof DatasetsModel) {
    return <DatasetsPanel model={source} {...given} />;
  }
  if (source instanceof BrokenSource) {
    const retry = () => void source.refresh();
    return <Problem problem={source.problem} rest={rest} retry={retry} />;
  }
  return null;
}

/** What inserted code reads files with. */
function LibraryChoice(props: { preferences: Preferences }): JSX.Element {
  const { preferences } = props;
  return (
    <label
      className="af-library"
      title="Inserted code reads files with this library"
    >
      <span>Code:</span>
      <select
        data-af="library"
        aria-label="Library of inserted code"
        value={preferences.library}
        onChange={event => preferences.choose(event.target.value as Library)}
      >
        {LIBRARIES.map(([name, label]) => (
          <option key={name} value={name}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}
