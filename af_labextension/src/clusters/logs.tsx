import { MainAreaWidget } from '@jupyterlab/apputils';
import { copyIcon, ReactWidget, refreshIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { useModel } from '../hooks';
import { logsIcon } from '../icons';
import { copyText } from '../notify';
import { ALL, LINES, LogsModel } from './logsmodel';
import { IPane, paneId } from './panes';

/** A pane of Lab's main area that shows what scheduler and workers wrote. */
export class LogsPane extends MainAreaWidget<ReactWidget> {
  constructor(
    readonly shows: IPane,
    private readonly model: LogsModel
  ) {
    super({
      content: ReactWidget.create(<Logs model={model} name={shows.name} />)
    });
    this.id = paneId(shows);
    this.title.icon = logsIcon;
    this.title.label = `Logs of ${shows.name}`;
    this.title.caption = this.title.label;
    this.addClass('af-pane');
    this.content.addClass('af-logs');
    this.node.dataset.af = 'logs-pane';
    this.node.dataset.cluster = shows.cluster;
    const tell = () => {
      this.node.dataset.state = model.problem
        ? 'problem'
        : model.loading
          ? 'asking'
          : 'shown';
    };
    model.changed.connect(tell, this);
    void model.refresh();
  }

  /** Read again. */
  renew(): void {
    void this.model.refresh();
  }
}

function Logs(props: { model: LogsModel; name: string }): JSX.Element {
  const { model, name } = props;
  useModel(model);
  const { logs, problem, loading, loaded, text } = model;
  return (
    <>
      <div className="af-logs-bar" role="toolbar" aria-label="Logs">
        <select
          data-af="logs-of"
          aria-label="Whose lines"
          value={logs.some(each => each.name === model.part) ? model.part : ALL}
          onChange={event => model.choose(event.target.value)}
        >
          <option value={ALL}>All parts</option>
          {logs.map(each => (
            <option key={each.name} value={each.name}>
              {each.name}
            </option>
          ))}
        </select>
        <select
          data-af="logs-lines"
          aria-label="Number of lines"
          value={model.lines}
          onChange={event => void model.askFor(Number(event.target.value))}
        >
          {LINES.map(each => (
            <option key={each} value={each}>
              last {each.toLocaleString('en')} lines
            </option>
          ))}
        </select>
        <span className="af-grow" />
        <button
          className="af-button"
          data-af="logs-refresh"
          disabled={loading}
          onClick={() => void model.refresh()}
        >
          <refreshIcon.react tag="span" width="14px" />
          Refresh
        </button>
        <button
          className="af-button"
          data-af="logs-copy"
          disabled={!loaded || text === ''}
          onClick={() => copyText(text, 'Logs')}
        >
          <copyIcon.react tag="span" width="14px" />
          Copy
        </button>
      </div>
      {problem && (
        <p className="af-notice af-mod-error" data-af="notice" role="alert">
          {problem.message}
        </p>
      )}
      {loaded ? (
        <Text text={text} name={name} />
      ) : (
        !problem && <p className="af-notice af-dim">Reading …</p>
      )}
    </>
  );
}

/** The lines; the last ones stay in sight unless the reader has gone up. */
function Text({ text, name }: { text: string; name: string }): JSX.Element {
  const node = React.useRef<HTMLPreElement>(null);
  const atEnd = React.useRef(true);
  React.useLayoutEffect(() => {
    if (node.current && atEnd.current) {
      node.current.scrollTop = node.current.scrollHeight;
    }
  }, [text]);
  return (
    <pre
      ref={node}
      className="af-logs-text"
      data-af="logs-text"
      tabIndex={0}
      role="region"
      aria-label={`Lines of ${name}`}
      onScroll={({ currentTarget: each }) => {
        atEnd.current =
          each.scrollTop + each.clientHeight >= each.scrollHeight - 4;
      }}
    >
      {text || 'Nothing has been written yet.'}
    </pre>
  );
}
