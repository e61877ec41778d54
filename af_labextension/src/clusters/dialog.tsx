import { Dialog } from '@jupyterlab/apputils';
import { ReactWidget } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { HookedRenderer } from '../dialogs';
import { formatMemory } from '../format';
import { useModel } from '../hooks';
import { OptionField } from './field';
import {
  Checked,
  checkForm,
  formOf,
  IForm,
  initialForm,
  Problems
} from './form';
import type { ClustersModel } from './model';
import { demands, mostOf, perWorkerOf, shortage, times } from './quota';
import { QuotaRow } from './quotas';
import { ScaleFields } from './scale';
import { fieldsOf, mostWorkers } from './schema';
import { TypeChoice } from './typechoice';
import type { IClusterRequest, IClusterType, IQuota, Scale } from './types';

/**
 * Ask for a new cluster.
 *
 * @param start - what was asked for before, to be changed
 * @returns what the user wants, or null if nothing
 */
export async function askForCluster(
  model: ClustersModel,
  start: IClusterRequest | null
): Promise<IClusterRequest | null> {
  const body = new ClusterForm(model, start);
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
      focusNodeSelector: '[data-af="dialog-type"]:checked',
      renderer: new HookedRenderer('dialog-create')
    });
    this.addClass('af-cluster-dialog');
  }

  // without an index the default button is meant, which creates
  override resolve(index = 1): void {
    if (index !== 1 || 'value' in this.form.check()) {
      super.resolve(index);
    } else {
      this.form.showProblem();
    }
  }
}

class ClusterForm extends ReactWidget {
  constructor(
    readonly model: ClustersModel,
    start: IClusterRequest | null
  ) {
    super();
    this.addClass('af-form');
    const asked = this.types.find(
      each => each.name === start?.type && each.available
    );
    this.chosen = (asked ?? this.types.find(each => each.available))?.name;
    const { type } = this;
    if (type) {
      this.form = asked && start ? formOf(asked, start) : initialForm(type);
    }
  }

  readonly changed = new Signal<this, void>(this);

  /** What stands in the form; null while no type can be chosen. */
  form: IForm | null = null;

  get types(): readonly IClusterType[] {
    return this.model.types?.types ?? [];
  }

  /** The chosen type, as the server describes it now. */
  get type(): IClusterType | undefined {
    return this.types.find(each => each.name === this.chosen);
  }

  check(): Checked<IClusterRequest> {
    const { type, form } = this;
    if (!type || !form) {
      return { problems: { type: 'No type of cluster can be chosen now.' } };
    }
    return type.available
      ? checkForm(type, form)
      : { problems: { type: type.reason ?? 'It is not available now.' } };
  }

  setForm(form: IForm): void {
    this.form = form;
    this.changed.emit();
  }

  setType(name: string): void {
    const type = this.types.find(each => each.name === name);
    if (type?.available) {
      this.chosen = name;
      this.setForm(initialForm(type));
    }
  }

  /** Lead to the first field with a problem. */
  showProblem(): void {
    this.node.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }

  protected override render(): JSX.Element {
    return <Form widget={this} />;
  }

  private chosen: string | undefined;
}

function Form({ widget }: { widget: ClusterForm }): JSX.Element {
  useModel(widget);
  useModel(widget.model);
  const { type, form } = widget;
  const checked = widget.check();
  const problems = 'problems' in checked ? checked.problems : {};
  return (
    <>
      <TypeChoice
        types={widget.types}
        chosen={type}
        problem={problems['type']}
        onChange={name => widget.setType(name)}
      />
      {type && form && (
        <>
          <Options
            type={type}
            form={form}
            problems={problems}
            onChange={changed => widget.setForm(changed)}
          />
          <Sum
            type={type}
            form={form}
            scale={'value' in checked ? checked.value.scale : null}
            quotas={widget.model.quotas}
          />
        </>
      )}
    </>
  );
}

function Options(props: {
  type: IClusterType;
  form: IForm;
  problems: Problems;
  onChange: (form: IForm) => void;
}): JSX.Element {
  const { type, form, problems, onChange } = props;
  return (
    <div className="af-fields">
      {fieldsOf(type).map(field => (
        <OptionField
          key={`${type.name}.${field.name}`}
          field={field}
          value={form.options[field.name] ?? ''}
          problem={problems[field.name]}
          onChange={value =>
            onChange({
              ...form,
              options: { ...form.options, [field.name]: value }
            })
          }
        />
      ))}
      <ScaleFields
        form={form}
        most={mostWorkers(type)}
        problems={problems}
        hook="dialog"
        onChange={scale => onChange({ ...form, ...scale })}
      />
    </div>
  );
}

/** What the cluster will have in all, and what of the quotas that takes. */
function Sum(props: {
  type: IClusterType;
  form: IForm;
  /** Null while the form has a mistake. */
  scale: Scale | null;
  quotas: readonly IQuota[];
}): JSX.Element {
  const { type, form, scale, quotas } = props;
  const worker = perWorkerOf(form);
  const workers = scale ? mostOf(scale) : 0;
  const asked = { ...times(worker, workers), clusters: 1 };
  const short = scale && shortage(quotas, worker, workers);
  const parts = [
    asked.cores > 0 ? `${asked.cores.toLocaleString('en')} cores` : '',
    asked.memory > 0 ? formatMemory(asked.memory) : '',
    asked.gpus > 0 ? `${asked.gpus} GPUs` : ''
  ].filter(Boolean);
  return (
    <div className="af-sum">
      <p data-af="dialog-total">
        <span>{scale?.mode === 'adaptive' ? 'In all, at most' : 'In all'}</span>
        <strong>{parts.length > 0 ? parts.join(' · ') : '–'}</strong>
      </p>
      {type.backend === 'in-lab' ? (
        <p className="af-dim" data-af="dialog-in-lab">
          It runs inside this server: it takes cores and memory of your profile,
          is outside the quota, and ends with the server.
        </p>
      ) : (
        <>
          <ul className="af-quota-list" aria-label="Quota">
            {demands(quotas, asked).map(demand => (
              <QuotaRow key={demand.quota.resource} demand={demand} />
            ))}
          </ul>
          {quotas.length > 0 && (
            <p className="af-short" data-af="dialog-short" role="status">
              {short}
            </p>
          )}
        </>
      )}
    </div>
  );
}
