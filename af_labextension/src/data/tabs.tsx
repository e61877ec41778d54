import * as React from 'react';

import type { ISource } from './source';
import type { SourcesModel } from './sources';

/** Where the keys lead in a row of tabs. */
const STEPS: Readonly<Record<string, number>> = {
  ArrowLeft: -1,
  ArrowUp: -1,
  ArrowRight: 1,
  ArrowDown: 1
};

/** One tab for each source. */
export function Tabs({ model }: { model: SourcesModel }): JSX.Element {
  const { sources, selected } = model;
  const onKeyDown = (event: React.KeyboardEvent<HTMLElement>) => {
    const index = sources.findIndex(source => source === selected);
    const step = STEPS[event.key];
    const ends: Record<string, number> = { Home: 0, End: sources.length - 1 };
    const target =
      step === undefined
        ? ends[event.key]
        : (index + step + sources.length) % sources.length;
    const source = target === undefined ? undefined : sources[target];
    if (source && target !== undefined) {
      event.preventDefault();
      model.select(source);
      event.currentTarget
        .querySelectorAll<HTMLElement>('[role=tab]')
        [target]?.focus();
    }
  };
  return (
    <div
      className="af-tabs"
      role="tablist"
      aria-label="Sources of data"
      onKeyDown={onKeyDown}
    >
      {sources.map(source => (
        <Tab
          key={source.id}
          source={source}
          selected={source === selected}
          onClick={() => model.select(source)}
        />
      ))}
    </div>
  );
}

function Tab(props: {
  source: ISource;
  selected: boolean;
  onClick: () => void;
}): JSX.Element {
  const { source, selected, onClick } = props;
  const failed = source.state === 'error';
  return (
    <button
      className="af-tab"
      data-af="source"
      data-name={source.name}
      data-kind={source.kind}
      data-state={source.state}
      role="tab"
      aria-selected={selected}
      aria-controls="af-data-source"
      tabIndex={selected ? 0 : -1}
      title={source.hint}
      onClick={onClick}
    >
      {failed && (
        <span className="af-dot" data-state="error" title="It has a problem" />
      )}
      <span className="af-tab-title">{source.title}</span>
    </button>
  );
}
