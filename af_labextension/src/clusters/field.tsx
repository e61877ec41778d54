import * as React from 'react';

import { IField, ON, range } from './schema';

/** What an input needs to be known by its label and its problem. */
export interface IGiven {
  readonly id: string;
  readonly 'aria-invalid': boolean;
  readonly 'aria-describedby': string;
}

/**
 * A label, an input, and one line for a hint.
 *
 * The problem takes the line of the hint, so that nothing moves when it comes.
 */
export function Field(props: {
  label: string;
  name: string;
  hook: string;
  hint?: string | undefined;
  problem?: string | undefined;
  unit?: string;
  children: (given: IGiven) => JSX.Element;
}): JSX.Element {
  const { label, name, hook, hint, problem, unit, children } = props;
  const id = React.useId();
  return (
    <div className="af-field" data-invalid={problem ? '' : undefined}>
      <label htmlFor={id}>{label}</label>
      <span className="af-field-input">
        {children({
          id,
          'aria-invalid': problem !== undefined,
          'aria-describedby': `${id}-hint`
        })}
        {unit && <span className="af-field-unit">{unit}</span>}
      </span>
      <span className="af-field-hint" id={`${id}-hint`}>
        {problem ? (
          <span
            className="af-field-problem"
            data-af={`${hook}-problem`}
            data-field={name}
            role="alert"
          >
            {problem}
          </span>
        ) : (
          hint
        )}
      </span>
    </div>
  );
}

/** One option of a type. */
export function OptionField(props: {
  field: IField;
  value: string;
  problem: string | undefined;
  onChange: (value: string) => void;
}): JSX.Element {
  const { field, value, problem, onChange } = props;
  const bounds = field.choices ? '' : range(field);
  return (
    <Field
      label={field.title}
      name={field.name}
      hook="dialog"
      hint={[bounds, field.description].filter(Boolean).join(' · ')}
      problem={problem}
      unit={field.choices ? '' : field.unit}
    >
      {given => (
        <Input given={given} field={field} value={value} onChange={onChange} />
      )}
    </Field>
  );
}

function Input(props: {
  given: IGiven;
  field: IField;
  value: string;
  onChange: (value: string) => void;
}): JSX.Element {
  const { given, field, value, onChange } = props;
  const hook = `dialog-${field.name}`;
  if (field.choices) {
    return (
      <select
        {...given}
        data-af={hook}
        value={value}
        onChange={event => onChange(event.target.value)}
      >
        {field.choices.map(choice => (
          <option key={choice.value} value={choice.value}>
            {choice.title}
          </option>
        ))}
      </select>
    );
  }
  if (field.kind === 'switch') {
    return (
      <input
        {...given}
        type="checkbox"
        data-af={hook}
        checked={value === ON}
        onChange={event => onChange(event.target.checked ? ON : 'false')}
      />
    );
  }
  const numeric = field.kind === 'number';
  return (
    <input
      {...given}
      type={numeric ? 'number' : 'text'}
      data-af={hook}
      min={field.minimum ?? undefined}
      max={field.maximum ?? undefined}
      step={numeric ? field.step : undefined}
      value={value}
      // nothing to choose, and still something to know
      readOnly={
        numeric && field.minimum !== null && field.minimum === field.maximum
      }
      onChange={event => onChange(event.target.value)}
    />
  );
}
