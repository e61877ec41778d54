import * as React from 'react';

import type { SearchType } from '../tokens';
import { SEARCH_TYPES } from './did';
import type { DatasetsModel } from './model';

/** With more scopes than this a list to choose from is no help, and slow. */
const MOST_OPTIONS = 200;

/** Most scopes proposed while one is typed. */
const PROPOSED = 50;

/** Where and what to search for. */
export function Search({ model }: { model: DatasetsModel }): JSX.Element {
  return (
    <div className="af-search" role="search">
      <div className="af-search-line">
        {model.scopes.length > MOST_OPTIONS ? (
          <ManyScopes model={model} />
        ) : (
          <FewScopes model={model} />
        )}
        <select
          data-af="search-type"
          aria-label="Kind"
          title="Kind"
          value={model.type}
          onChange={event => model.restrict(event.target.value as SearchType)}
        >
          {SEARCH_TYPES.map(([type, label]) => (
            <option key={type} value={type}>
              {label}
            </option>
          ))}
        </select>
      </div>
      <input
        type="search"
        data-af="search"
        placeholder="Search names, * fits anything"
        aria-label="Search names"
        title={
          'Part of a name, a pattern such as /ZMuMu/*/NANOAOD, or a whole ' +
          'identifier (scope:name). Enter searches at once.'
        }
        value={model.text}
        onChange={event => model.typeText(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'Enter') {
            void model.search();
          }
        }}
      />
    </div>
  );
}

function FewScopes({ model }: { model: DatasetsModel }): JSX.Element {
  return (
    <select
      data-af="scope"
      aria-label="Scope"
      title={`Scope ${model.scope}`}
      value={model.scope}
      onChange={event => model.choose(event.target.value)}
    >
      {model.scopes.map(scope => (
        <option key={scope} value={scope}>
          {scope}
        </option>
      ))}
    </select>
  );
}

function ManyScopes({ model }: { model: DatasetsModel }): JSX.Element {
  const [typed, type] = React.useState(model.scope);
  const id = React.useId();
  React.useEffect(() => type(model.scope), [model.scope]);
  const wanted = typed.trim().toLowerCase();
  const proposed = model.scopes
    .filter(scope => scope.toLowerCase().includes(wanted))
    .slice(0, PROPOSED);
  return (
    <>
      <input
        data-af="scope"
        aria-label="Scope"
        title={`Scope, one of ${model.scopes.length.toLocaleString('en')}`}
        list={id}
        value={typed}
        onFocus={event => event.target.select()}
        onBlur={() => type(model.scope)}
        onChange={event => {
          const scope = event.target.value;
          type(scope);
          if (model.scopes.includes(scope)) {
            model.choose(scope);
          }
        }}
      />
      <datalist id={id}>
        {proposed.map(scope => (
          <option key={scope} value={scope} />
        ))}
      </datalist>
    </>
  );
}
