/** From a cluster type's JSON Schema to the fields of a form. Pure. */

import { GIB } from '../format';
import type { IClusterType, IOptionSchema } from './types';

/** A value that can be chosen, as it stands in the form, and what people read. */
export interface IChoice {
  readonly value: string;
  readonly title: string;
}

/** One field of the form. Numbers are in the unit that people read. */
export interface IField {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly kind: 'number' | 'text' | 'switch';
  /** `GiB`, or empty for a plain number. */
  readonly unit: string;
  readonly minimum: number | null;
  readonly maximum: number | null;
  /** Longest text. */
  readonly longest: number | null;
  /** `any` where the browser must not insist on steps: amounts of memory. */
  readonly step: number | 'any';
  readonly initial: string;
  readonly choices: readonly IChoice[] | null;
  /** What one unit of the form is in the request: 2³⁰ for GiB of a number of bytes. */
  readonly factor: number;
}

/** What a switch that is on holds. */
export const ON = 'true';

const SCALE = 'scale';

/** The fields of a type's options, in the schema's order. */
export function fieldsOf(type: IClusterType): IField[] {
  return Object.entries(type.options.properties ?? {})
    .filter(([name]) => name !== SCALE)
    .map(([name, schema]) => field(name, schema));
}

function field(name: string, schema: IOptionSchema): IField {
  const bytes = schema['x-unit'] === 'bytes';
  const factor = bytes ? GIB : 1;
  const unit = bytes ? 'GiB' : '';
  const shown = (value: number | undefined) =>
    value === undefined ? null : value / factor;
  const choices = choicesOf(schema, factor, unit);
  const first = [schema.default, schema.enum?.[0], schema.minimum].find(
    (value): value is string | number | boolean =>
      ['number', 'string', 'boolean'].includes(typeof value)
  );
  return {
    name,
    title: schema.title ?? name,
    description: schema.description ?? '',
    kind: kindOf(schema),
    unit,
    minimum: shown(schema.minimum),
    maximum: shown(schema.maximum),
    longest: schema.maxLength ?? null,
    step: bytes ? 'any' : (schema.multipleOf ?? 1),
    initial: String(typeof first === 'number' ? first / factor : (first ?? '')),
    choices,
    factor
  };
}

function kindOf(schema: IOptionSchema): IField['kind'] {
  if (schema.type === 'boolean') {
    return 'switch';
  }
  const numeric = schema.type === 'integer' || schema.type === 'number';
  return numeric ? 'number' : 'text';
}

function choicesOf(
  schema: IOptionSchema,
  factor: number,
  unit: string
): IChoice[] | null {
  const titles = schema['x-titles'] ?? {};
  const named = titles as Readonly<Record<string, string>>;
  return (
    schema.enum?.map((each, index) => {
      const value = String(typeof each === 'number' ? each / factor : each);
      const title = Array.isArray(titles)
        ? (titles as readonly string[])[index]
        : Object.hasOwn(named, String(each))
          ? named[String(each)]
          : undefined;
      return { value, title: title || (unit ? `${value} ${unit}` : value) };
    }) ?? null
  );
}

/** What a type proposes for its number of workers. */
export function proposedScale(type: IClusterType): unknown {
  return type.options.properties?.[SCALE]?.default;
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

/** The bounds of a field in words: `1 to 2`, `0.5 to 2 GiB`; nothing for a field without. */
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
  return maximum === null ? '' : `at most ${maximum}${unit}`;
}
