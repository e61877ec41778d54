import * as React from 'react';

import type { IForm } from './options';

type ScaleForm = Omit<IForm, 'options'>;

/** How many workers: a fixed number, or bounds between which the number follows the work. */
export function ScaleFields(props: {
  form: ScaleForm;
  most: number | null;
  /** Beginning of the `data-af` hooks. */
  hook: string;
  onChange: (form: ScaleForm) => void;
}): JSX.Element {
  const { form, most, hook, onChange } = props;
  const number = (key: 'workers' | 'minimum' | 'maximum', label: string) => (
    <label className="af-field">
      <span>{label}</span>
      <input
        type="number"
        data-af={`${hook}-${key}`}
        min={key === 'maximum' ? 1 : 0}
        max={most ?? undefined}
        step={1}
        value={form[key]}
        onChange={event => onChange({ ...form, [key]: event.target.value })}
      />
    </label>
  );
  return (
    <>
      <label className="af-field">
        <span>Workers</span>
        <select
          data-af={`${hook}-mode`}
          value={form.mode}
          onChange={event =>
            onChange({
              ...form,
              mode: event.target.value === 'adaptive' ? 'adaptive' : 'fixed'
            })
          }
        >
          <option value="fixed">fixed number</option>
          <option value="adaptive">adaptive, follows the work</option>
        </select>
      </label>
      {form.mode === 'fixed' ? (
        number('workers', most === null ? 'Number' : `Number (at most ${most})`)
      ) : (
        <>
          {number('minimum', 'Fewest')}
          {number('maximum', most === null ? 'Most' : `Most (up to ${most})`)}
        </>
      )}
    </>
  );
}
