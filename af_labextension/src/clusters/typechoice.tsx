import * as React from 'react';

import type { IClusterType } from './types';

/** The types of clusters, one radio button each; those that are away say why. */
export function TypeChoice(props: {
  types: readonly IClusterType[];
  chosen: IClusterType | undefined;
  problem: string | undefined;
  onChange: (name: string) => void;
}): JSX.Element {
  const { types, chosen, problem, onChange } = props;
  const group = React.useId();
  return (
    <fieldset className="af-types">
      <legend>Type</legend>
      {types.map(type => (
        <label
          key={type.name}
          className="af-type"
          data-chosen={type === chosen ? '' : undefined}
          data-away={type.available ? undefined : ''}
        >
          <input
            type="radio"
            name={group}
            data-af="dialog-type"
            data-name={type.name}
            value={type.name}
            checked={type === chosen}
            disabled={!type.available}
            onChange={() => onChange(type.name)}
          />
          <span className="af-grow">
            <span className="af-type-title">
              <bdi>{type.title}</bdi>
              {type.site && <bdi className="af-site">{type.site}</bdi>}
            </span>
            {type.description && (
              <span className="af-type-text">{type.description}</span>
            )}
            {!type.available && (
              <span className="af-type-reason" data-af="dialog-reason">
                {type.reason ?? 'It is not available now.'}
              </span>
            )}
          </span>
        </label>
      ))}
      {problem && (
        <p
          className="af-field-problem"
          data-af="dialog-problem"
          data-field="type"
          role="alert"
        >
          {problem}
        </p>
      )}
    </fieldset>
  );
}
