import { Dialog } from '@jupyterlab/apputils';

/** Draws Lab's dialog buttons and puts a `data-af` hook on the one that accepts. */
export class HookedRenderer extends Dialog.Renderer {
  constructor(private readonly hook: string) {
    super();
  }

  override createButtonNode(button: Dialog.IButton): HTMLButtonElement {
    const node = super.createButtonNode(button);
    if (button.accept) {
      node.dataset.af = this.hook;
    }
    return node;
  }
}
