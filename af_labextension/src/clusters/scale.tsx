import * as React from 'react';

import { Field } from './field';
import type { IScaleForm, Problems } from './form';

/** How many workers: a fixed number, or bounds between which the number follows the work. */
export function ScaleFields(props: {
  form: IScaleForm;
  most: number | null;
  problems: Problems;
  /** Beginning of the `data-af` hooks. */
  hook: string;
  onChange: (form: IScaleForm) => void;
}): JSX.Element {
  const { form, most, problems, hook, onChange } = props;
  const number = (
    key: 'workers' | 'minimum' | 'maximum',
    label: string,
    hint: string
  ) => (
    <Field
      label={label}
      hint={hint}
      problem={problems[key]}
      name={key}
      hook={hook}
    >
      {given => (
        <input
          {...given}
          type="number"
          data-af={`${hook}-${key}`}
          min={key === 'maximum' ? 1 : 0}
          max={most ?? undefined}
          step={1}
          value={form[key]}
          onChange={event => onChange({ ...form, [key]: event.target.value })}
        />
      )}
    </Field>
  );
  const bound = most === null ? '' : `at most ${most.toLocaleString('en')}`;
  return (
    <>
      <Field
        label="Workers"
        hint={
          form.mode === 'fixed' ? 'the same all the time' : 'as the work needs'
        }
        name="mode"
        hook={hook}
      >
        {given => (
          <select
            {...given}
            data-af={`${hook}-mode`}
            value={form.mode}
            onChange={event =>
              onChange({
                ...form,
                mode: event.target.value === 'adaptive' ? 'adaptive' : 'fixed'
              })
            }
          >
            <option value="fixed">fixed</option>
            <option value="adaptive">adaptive</option>
          </select>
        )}
      </Field>
      {form.mode === 'fixed' ? (
        number('workers', 'Number of workers', bound)
      ) : (
        <>
          {number('minimum', 'Fewest workers', 'also without work')}
          {number('maximum', 'Most workers', bound)}
        </>
      )}
    </>
  );
}
