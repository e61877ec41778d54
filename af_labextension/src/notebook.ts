import type { JupyterFrontEnd } from '@jupyterlab/application';
import {
  INotebookTracker,
  NotebookActions,
  NotebookPanel
} from '@jupyterlab/notebook';

/** Puts code into the notebook the user works on. */
export class CodeInserter {
  /**
   * @param tracker - null in a Lab without notebooks
   */
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly tracker: INotebookTracker | null
  ) {}

  /**
   * Insert a cell with the code below the active cell of the current notebook.
   *
   * Without an open notebook a new one is made; an empty active code cell is filled rather than
   * left behind.
   *
   * @throws Error with a sentence for the user
   */
  async insert(code: string): Promise<void> {
    const panel = this.tracker?.currentWidget ?? (await this.newNotebook());
    await panel.context.ready;
    await panel.revealed;
    const notebook = panel.content;
    const active = notebook.activeCell?.model;
    const reusable =
      active?.type === 'code' && active.sharedModel.getSource().trim() === '';
    if (!reusable) {
      NotebookActions.insertBelow(notebook);
      NotebookActions.changeCellType(notebook, 'code');
    }
    notebook.activeCell?.model.sharedModel.setSource(code);
    this.app.shell.activateById(panel.id);
    await NotebookActions.focusActiveCell(notebook);
  }

  private async newNotebook(): Promise<NotebookPanel> {
    const specs = this.app.serviceManager.kernelspecs;
    await specs.ready;
    const made: unknown = this.app.commands.hasCommand('notebook:create-new')
      ? await this.app.commands.execute('notebook:create-new', {
          kernelName: specs.specs?.default ?? ''
        })
      : null;
    if (!(made instanceof NotebookPanel)) {
      throw new Error('Open a notebook first; the code is inserted there.');
    }
    return made;
  }
}
