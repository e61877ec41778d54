import { Dialog } from '@jupyterlab/apputils';
import * as React from 'react';

import { HookedRenderer } from '../dialogs';
import type { IMemoryNotice } from '../tokens';

/** Tell that a kernel was ended, until the user has taken note. */
export async function showEnded(notice: IMemoryNotice): Promise<void> {
  await new Dialog({
    title: notice.title,
    body: <Body notice={notice} />,
    buttons: [Dialog.okButton({ label: 'OK' })],
    renderer: new HookedRenderer('memory-ok')
  }).launch();
}

function Body({ notice }: { notice: IMemoryNotice }): JSX.Element {
  return (
    <div
      className="af-memory"
      data-af="memory-notice"
      data-path={notice.path ?? ''}
    >
      <p>{notice.text}</p>
      <ul>
        {notice.advice.map(sentence => (
          <li key={sentence}>{sentence}</li>
        ))}
      </ul>
    </div>
  );
}
