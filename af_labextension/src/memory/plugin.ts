import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import type { CodeCell } from '@jupyterlab/cells';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';

import { Server } from '../request';
import type { IMemoryNotice } from '../tokens';
import { asOutput, Notices } from './notices';

/** Schema of the event by which the server tells that there is a notice. */
const EVENT = 'urn:analysis-facility:memory:v1';

/** Tells that a kernel was ended because the server's memory was full. */
export const memoryPlugin: JupyterFrontEndPlugin<void> = {
  id: 'af-labextension:memory',
  description: 'Tells why a kernel was ended when the memory was full.',
  autoStart: true,
  optional: [INotebookTracker],
  activate: (app: JupyterFrontEnd, tracker: INotebookTracker | null) => {
    const { serverSettings, events } = app.serviceManager;
    const notices = new Notices(
      new Server(serverSettings),
      window.localStorage,
      `af-memory:${serverSettings.baseUrl}`
    );
    const interrupted = new Map<string, CodeCell>();
    const tell = () =>
      void notices
        .fetch()
        .then(fresh => {
          for (const notice of fresh) {
            show(notice, tracker, interrupted);
          }
        })
        .catch((error: unknown) => {
          console.warn('Notices about memory cannot be read.', error);
        });
    events.stream.connect((_, event) => {
      if (event.schema_id === EVENT) {
        tell();
      }
    });
    tracker?.widgetAdded.connect((_, panel) => {
      panel.sessionContext.statusChanged.connect((context, status) => {
        const kernel = context.session?.kernel?.id;
        // news do not come through while the connection for events is away
        if (kernel && (status === 'autorestarting' || status === 'dead')) {
          const cell = runningCell(panel);
          if (cell) {
            interrupted.set(kernel, cell);
          }
          tell();
        }
      });
    });
    // what happened while no page was open
    void app.restored.then(tell);
  }
};

function show(
  notice: IMemoryNotice,
  tracker: INotebookTracker | null,
  interrupted: Map<string, CodeCell>
): void {
  if (notice.kernel === null) {
    Notification.warning(notice.text, { autoClose: false });
    return;
  }
  tracker?.forEach(panel => {
    const kernel = panel.sessionContext.session?.kernel?.id;
    if (kernel !== undefined && kernel === notice.kernel) {
      const cell = runningCell(panel) ?? interrupted.get(kernel);
      // it stays with the notebook, for the day when one wonders where the result is
      cell?.model.outputs.add({
        output_type: 'stream',
        name: 'stderr',
        text: asOutput(notice)
      });
      interrupted.delete(kernel);
    }
  });
  void import(/* webpackChunkName: "memory" */ './dialog').then(dialog =>
    dialog.showEnded(notice)
  );
}

/** The cell that runs: the first of those that wait for the kernel. */
function runningCell(panel: NotebookPanel): CodeCell | null {
  const cells = panel.content.widgets.filter(
    (cell): cell is CodeCell => cell.model.type === 'code'
  );
  return cells.find(cell => cell.model.executionState === 'running') ?? null;
}
