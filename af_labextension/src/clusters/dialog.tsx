import { Dialog } from '@jupyterlab/apputils';
import { ReactWidget } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { formatMemory, GIB } from '../format';
import { HookedRenderer } from '../dialogs';
import { useModel } from '../hooks';
import type { IClusterRequest, IClusterType } from '../tokens';
import {
  Checked,
  checkForm,
  fieldsOf,
  IField,
  IForm,
  initialForm,
  mostWorkers,
  range
} from './options';
import { ScaleFields } from './scale';

/**
 * Ask for a new cluster.
 *
 * @returns what the user wants, or null if nothing
 */
export async function askForCluster(
  types: readonly [IClusterType, ...IClusterType[]]
): Promise<IClusterRequest | null> {
  const body = new ClusterForm(types);
  const { button } = await new ClusterDialog(body).launch();
  const checked = body.check();
  return button.accept && 'value' in checked ? checked.value : null;
}

/** A dialog that stays open while its form has a mistake. */
class ClusterDialog extends Dialog<void> {
  constructor(private readonly form: ClusterForm) {
    super({
      title: 'New Dask cluster',
      body: form,
      buttons: [
        Dialog.cancelButton(),
        Dialog.okButton({ label: 'Create', ariaLabel: 'Create the cluster' })
      ],
      defaultButton: 1,
      focusNodeSelector: '[data-af="dialog-type"]',
      renderer: new HookedRenderer('dialog-create')
    });
  }

  // without an index the default button is meant, which creates
  override resolve(index = 1): void {
    if (index !== 1 || this.form.problem === null) {
      super.resolve(index);
    }
  }
}

class ClusterForm extends ReactWidget {
  constructor(readonly types: readonly [IClusterType, ...IClusterType[]]) {
    super();
    this.addClass('af-form');
    this._type = types[0];
    this._form = initialForm(this._type);
  }

  readonly changed = new Signal<this, void>(this);

  get type(): IClusterType {
    return this._type;
  }

  get form(): IForm {
    return this._form;
  }

  /** The sentence that says what is wrong with the form, if something is. */
  get problem(): string | null {
    const checked = this.check();
    return 'problem' in checked ? checked.problem : null;
  }

  check(): Checked<IClusterRequest> {
    return checkForm(this._type, this._form);
  }

  setForm(form: IForm): void {
    this._form = form;
    this.changed.emit();
  }

  setType(name: string): void {
    this._type = this.types.find(each => each.name === name) ?? this._type;
    this.setForm(initialForm(this._type));
  }

  protected override render(): JSX.Element {
    return <Form widget={this} />;
  }

  private _type: IClusterType;
  private _form: IForm;
}

function Form({ widget }: { widget: ClusterForm }): JSX.Element {
  useModel(widget);
  const { type, form, problem } = widget;
  return (
    <>
      <label className="af-field">
        <span>Type</span>
        <select
          data-af="dialog-type"
          value={type.name}
          onChange={event => widget.setType(event.target.value)}
        >
          {widget.types.map(each => (
            <option key={each.name} value={each.name}>
              {each.title}
            </option>
          ))}
        </select>
      </label>
      {type.description && <p className="af-dim">{type.description}</p>}
      {fieldsOf(type).map(field => (
        <OptionField
          key={`${type.name}.${field.name}`}
          field={field}
          value={form.options[field.name] ?? ''}
          onChange={value =>
            widget.setForm({
              ...form,
              options: { ...form.options, [field.name]: value }
            })
          }
        />
      ))}
      <ScaleFields
        form={form}
        most={mostWorkers(type)}
        hook="dialog"
        onChange={scale => widget.setForm({ ...form, ...scale })}
      />
      <p
        className={problem ? 'af-notice af-mod-error' : 'af-dim'}
        data-af={problem ? 'dialog-problem' : undefined}
        role={problem ? 'alert' : undefined}
      >
        {problem ?? total(form)}
      </p>
    </>
  );
}

function OptionField(props: {
  field: IField;
  value: string;
  onChange: (value: string) => void;
}): JSX.Element {
  const { field, value, onChange } = props;
  const hint = field.numeric && !field.choices ? ` (${range(field)})` : '';
  const hook = `dialog-${field.name}`;
  return (
    <label className="af-field" title={field.description}>
      <span>
        {field.title}
        {hint}
      </span>
      {field.choices ? (
        <select
          data-af={hook}
          value={value}
          onChange={event => onChange(event.target.value)}
        >
          {field.choices.map(choice => (
            <option key={choice} value={choice}>
              {field.unit ? `${choice} ${field.unit}` : choice}
            </option>
          ))}
        </select>
      ) : (
        <input
          type={field.numeric ? 'number' : 'text'}
          data-af={hook}
          min={field.minimum ?? undefined}
          max={field.maximum ?? undefined}
          step={field.step}
          value={value}
          onChange={event => onChange(event.target.value)}
        />
      )}
    </label>
  );
}

/** What the cluster will have in all, while the numbers make sense. */
function total(form: IForm): string {
  const workers = Number(form.mode === 'fixed' ? form.workers : form.maximum);
  const cores = workers * Number(form.options['worker_cores']);
  const memory = workers * Number(form.options['worker_memory']) * GIB;
  if (!(cores >= 0) || !(memory >= 0)) {
    return '';
  }
  const upTo = form.mode === 'adaptive' ? 'up to ' : '';
  return `In all: ${upTo}${cores} cores, ${formatMemory(memory)} of memory`;
}
