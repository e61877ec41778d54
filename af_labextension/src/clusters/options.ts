/** From a cluster type's JSON Schema to the fields of a form, and back to a request. Pure. */

import { GIB } from '../format';
import type {
  IClusterRequest,
  IClusterType,
  IOptionSchema,
  Scale
} from '../tokens';

/** One field of the form. Numbers are in the unit that people read. */
export interface IField {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** `GiB`, or what the schema calls it; empty for a plain number. */
  readonly unit: string;
  readonly minimum: number | null;
  readonly maximum: number | null;
  /** `any` where the browser must not insist on steps: amounts of memory. */
  readonly step: number | 'any';
  readonly initial: string;
  readonly choices: readonly string[] | null;
  /** What one unit of the form is in the request: 2³⁰ for GiB of a number of bytes. */
  readonly factor: number;
  readonly numeric: boolean;
}

/** What stands in the form, as typed. */
export interface IForm {
  readonly options: Readonly<Record<string, string>>;
  readonly mode: Scale['mode'];
  readonly workers: string;
  readonly minimum: string;
  readonly maximum: string;
}

const SCALE = 'scale';
const OTHER_WORKERS = 2;

/** The fields of a type's options, in the schema's order. */
export function fieldsOf(type: IClusterType): IField[] {
  return Object.entries(type.options.properties ?? {})
    .filter(([name]) => name !== SCALE)
    .map(([name, schema]) => field(name, schema));
}

function field(name: string, schema: IOptionSchema): IField {
  const bytes = schema['x-unit'] === 'bytes';
  const factor = bytes ? GIB : 1;
  const shown = (value: number | undefined) =>
    value === undefined ? null : value / factor;
  const minimum = shown(schema.minimum);
  const first = [schema.default, schema.enum?.[0], schema.minimum, ''].find(
    value => typeof value === 'number' || typeof value === 'string'
  );
  return {
    name,
    title: schema.title ?? name,
    description: schema.description ?? '',
    unit: bytes ? 'GiB' : '',
    minimum,
    maximum: shown(schema.maximum),
    step: bytes ? 'any' : (schema.multipleOf ?? 1),
    initial:
      typeof first === 'number' ? String(first / factor) : String(first ?? ''),
    choices:
      schema.enum?.map(value =>
        String(typeof value === 'number' ? value / factor : value)
      ) ?? null,
    factor,
    numeric: schema.type === 'integer' || schema.type === 'number'
  };
}

/** Most workers of a cluster of this type; null if the schema sets no bound. */
export function mostWorkers(type: IClusterType | undefined): number | null {
  const modes = type?.options.properties?.[SCALE]?.oneOf ?? [];
  for (const mode of modes) {
    const bound =
      mode.properties?.['workers']?.maximum ??
      mode.properties?.['maximum']?.maximum;
    if (bound !== undefined) {
      return bound;
    }
  }
  return null;
}

/** A form filled with the type's defaults. */
export function initialForm(type: IClusterType): IForm {
  const most = mostWorkers(type) ?? Number.POSITIVE_INFINITY;
  const usual = Math.min(OTHER_WORKERS, most);
  const scale = type.options.properties?.[SCALE]?.default as Scale | undefined;
  return {
    options: Object.fromEntries(
      fieldsOf(type).map(({ name, initial }) => [name, initial])
    ),
    ...scaleForm(scale ?? { mode: 'fixed', workers: usual }, usual)
  };
}

/** The scale part of a form; `usual` fills the fields of the mode that is not chosen. */
export function scaleForm(
  scale: Scale | null,
  usual: number
): Omit<IForm, 'options'> {
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

/** A value, or the sentence that says what is wrong with what was typed. */
export type Checked<T> = { readonly value: T } | { readonly problem: string };

/** Check a scale as typed. */
export function checkScale(
  form: Omit<IForm, 'options'>,
  most: number | null
): Checked<Scale> {
  if (form.mode === 'fixed') {
    const workers = whole('Workers', form.workers, 0, most);
    return 'problem' in workers
      ? workers
      : { value: { mode: 'fixed', workers: workers.value } };
  }
  const minimum = whole('Fewest workers', form.minimum, 0, most);
  if ('problem' in minimum) {
    return minimum;
  }
  const maximum = whole('Most workers', form.maximum, 1, most);
  if ('problem' in maximum) {
    return maximum;
  }
  if (minimum.value > maximum.value) {
    return { problem: 'Fewest workers must not exceed most workers.' };
  }
  return {
    value: {
      mode: 'adaptive',
      minimum: minimum.value,
      maximum: maximum.value
    }
  };
}

/** Check a form as typed and turn it into a request. */
export function checkForm(
  type: IClusterType,
  form: IForm
): Checked<IClusterRequest> {
  const options: Record<string, number | string> = {};
  for (const each of fieldsOf(type)) {
    const checked = checkField(each, form.options[each.name] ?? '');
    if ('problem' in checked) {
      return checked;
    }
    options[each.name] = checked.value;
  }
  const scale = checkScale(form, mostWorkers(type));
  if ('problem' in scale) {
    return scale;
  }
  return { value: { type: type.name, options, scale: scale.value } };
}

function checkField(field: IField, text: string): Checked<number | string> {
  if (field.choices && !field.choices.includes(text)) {
    return { problem: `${field.title}: choose one of the offered values.` };
  }
  if (!field.numeric) {
    return { value: text };
  }
  const value = Number(text);
  const { minimum, maximum } = field;
  if (
    text.trim() === '' ||
    !Number.isFinite(value) ||
    (minimum !== null && value < minimum) ||
    (maximum !== null && value > maximum) ||
    (field.step === 1 && !Number.isInteger(value))
  ) {
    return { problem: `${field.title} must be ${range(field)}.` };
  }
  // whole MiB: the fraction of a GiB that was typed is rarely a whole number of them
  const exact =
    field.factor === 1
      ? value
      : Math.round((value * field.factor) / 2 ** 20) * 2 ** 20;
  return { value: exact };
}

/** The bounds of a field in words: `1 to 2`, `0.5 to 2 GiB`. */
export function range(field: IField): string {
  const { minimum, maximum } = field;
  const unit = field.unit ? ` ${field.unit}` : '';
  if (minimum !== null && maximum !== null) {
    return minimum === maximum
      ? `${minimum}${unit}`
      : `${minimum} to ${maximum}${unit}`;
  }
  if (minimum !== null) {
    return `at least ${minimum}${unit}`;
  }
  return maximum === null ? 'a number' : `at most ${maximum}${unit}`;
}

function whole(
  title: string,
  text: string,
  minimum: number,
  maximum: number | null
): Checked<number> {
  const value = Number(text);
  if (
    text.trim() !== '' &&
    Number.isInteger(value) &&
    value >= minimum &&
    (maximum === null || value <= maximum)
  ) {
    return { value };
  }
  return {
    problem:
      maximum === null
        ? `${title} must be a whole number, at least ${minimum}.`
        : `${title} must be a whole number from ${minimum} to ${maximum}.`
  };
}
