/** What stands in the dialog, as typed, and what it asks for. Pure. */

import {
  fieldsOf,
  IField,
  mostWorkers,
  ON,
  proposedScale,
  range
} from './schema';
import type { IClusterRequest, IClusterType, Scale } from './types';

/** How many workers, as typed. */
export interface IScaleForm {
  readonly mode: Scale['mode'];
  readonly workers: string;
  readonly minimum: string;
  readonly maximum: string;
}

/** A form as typed. */
export interface IForm extends IScaleForm {
  readonly options: Readonly<Record<string, string>>;
}

/** What is wrong with a form: sentences by the names of the fields. */
export type Problems = Readonly<Record<string, string>>;

/** A value, or what is wrong with what was typed. */
export type Checked<T> =
  { readonly value: T } | { readonly problems: Problems };

const OTHER_WORKERS = 2;

/** A form filled with the type's defaults. */
export function initialForm(type: IClusterType): IForm {
  return {
    options: Object.fromEntries(
      fieldsOf(type).map(each => [each.name, each.initial])
    ),
    ...scaleForm(asScale(proposedScale(type)), OTHER_WORKERS)
  };
}

/** A form filled with what was asked for before, as far as the type still has it. */
export function formOf(type: IClusterType, request: IClusterRequest): IForm {
  const form = initialForm(type);
  const options = Object.fromEntries(
    fieldsOf(type).map(each => {
      const asked = request.options[each.name];
      return [
        each.name,
        asked === undefined
          ? each.initial
          : String(typeof asked === 'number' ? asked / each.factor : asked)
      ];
    })
  );
  return { ...form, ...scaleForm(request.scale, OTHER_WORKERS), options };
}

function asScale(value: unknown): Scale | null {
  const { mode } = (value ?? {}) as Partial<Scale>;
  return mode === 'fixed' || mode === 'adaptive' ? (value as Scale) : null;
}

/** The scale part of a form; `usual` fills the fields of the mode that is not chosen. */
export function scaleForm(scale: Scale | null, usual: number): IScaleForm {
  if (scale?.mode === 'adaptive') {
    return {
      mode: 'adaptive',
      workers: String(scale.maximum),
      minimum: String(scale.minimum),
      maximum: String(scale.maximum)
    };
  }
  const workers = scale?.workers ?? usual;
  return {
    mode: 'fixed',
    workers: String(workers),
    minimum: '0',
    maximum: String(Math.max(workers, 1))
  };
}

/** Check a scale as typed. */
export function checkScale(
  form: IScaleForm,
  most: number | null
): Checked<Scale> {
  const whole = (key: 'workers' | 'minimum' | 'maximum', least: number) =>
    wholeNumber(form[key], least, most);
  if (form.mode === 'fixed') {
    const workers = whole('workers', 0);
    return typeof workers === 'string'
      ? { problems: { workers } }
      : { value: { mode: 'fixed', workers } };
  }
  const minimum = whole('minimum', 0);
  const maximum = whole('maximum', 1);
  if (typeof minimum === 'string' || typeof maximum === 'string') {
    return {
      problems: {
        ...(typeof minimum === 'string' ? { minimum } : {}),
        ...(typeof maximum === 'string' ? { maximum } : {})
      }
    };
  }
  return minimum > maximum
    ? { problems: { minimum: 'Must not be more than the most.' } }
    : { value: { mode: 'adaptive', minimum, maximum } };
}

/** Check a form as typed and turn it into a request. */
export function checkForm(
  type: IClusterType,
  form: IForm
): Checked<IClusterRequest> {
  const options: Record<string, number | string | boolean> = {};
  const problems: Record<string, string> = {};
  for (const each of fieldsOf(type)) {
    const text = form.options[each.name] ?? '';
    const problem = problemIn(each, text);
    if (problem === null) {
      options[each.name] = valueOf(each, text);
    } else {
      problems[each.name] = problem;
    }
  }
  const scale = checkScale(form, mostWorkers(type));
  if ('problems' in scale || Object.keys(problems).length > 0) {
    return {
      problems: { ...problems, ...('problems' in scale ? scale.problems : {}) }
    };
  }
  return { value: { type: type.name, options, scale: scale.value } };
}

function problemIn(field: IField, text: string): string | null {
  const { minimum, maximum, longest } = field;
  if (field.choices && !field.choices.some(each => each.value === text)) {
    return 'Choose one of the offered values.';
  }
  if (field.kind !== 'number') {
    return longest !== null && text.length > longest
      ? `Must be at most ${longest} characters.`
      : null;
  }
  const value = number(text);
  const whole = field.step === 1 && !field.choices;
  if (
    value === null ||
    (minimum !== null && value < minimum) ||
    (maximum !== null && value > maximum) ||
    (whole && !Number.isInteger(value))
  ) {
    const kind = whole ? 'a whole number' : 'a number';
    const bounds = range(field);
    return bounds ? `Must be ${kind}: ${bounds}.` : `Must be ${kind}.`;
  }
  return null;
}

function valueOf(field: IField, text: string): number | string | boolean {
  if (field.kind === 'switch') {
    return text === ON;
  }
  if (field.kind === 'text') {
    return text;
  }
  // whole MiB: the fraction of a GiB that was typed is rarely a whole number of them
  return field.factor === 1
    ? Number(text)
    : Math.round((Number(text) * field.factor) / 2 ** 20) * 2 ** 20;
}

function wholeNumber(
  text: string,
  least: number,
  most: number | null
): number | string {
  const value = number(text);
  if (
    value !== null &&
    Number.isInteger(value) &&
    value >= least &&
    (most === null || value <= most)
  ) {
    return value;
  }
  const bounds = most === null ? `at least ${least}` : `${least} to ${most}`;
  return `Must be a whole number: ${bounds}.`;
}

/** A number as people type it; null for what is none, and for forms like `0x10` or `1e9`. */
function number(text: string): number | null {
  return /^\s*-?\d+(\.\d*)?\s*$/.test(text) ? Number(text) : null;
}
