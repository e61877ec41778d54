import * as React from 'react';

import { headAndTail } from '../data/names';

/** A long name on one line; its end stays in sight. */
export function Name(props: { text: string; strong?: boolean }): JSX.Element {
  const [head, tail] = headAndTail(props.text);
  return (
    <span className={`af-name ${props.strong ? 'af-mod-strong' : ''}`}>
      <bdi className="af-name-head">{head}</bdi>
      {tail && <bdi className="af-name-tail">{tail}</bdi>}
    </span>
  );
}
