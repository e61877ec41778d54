import * as React from 'react';

/** What stands in a panel until its content is fetched. */
export function Loading(props: {
  /** How the panel is called in a sentence. */
  panel: string;
  failed: boolean;
  retry: () => void;
}): JSX.Element {
  const { panel, failed, retry } = props;
  return failed ? (
    <div className="af-notice af-mod-error" data-af="notice" role="alert">
      <p>
        The {panel} panel cannot be loaded. Check the network, or that the
        server still runs.
      </p>
      <button className="af-button" data-af="retry" onClick={retry}>
        Try again
      </button>
    </div>
  ) : (
    <p className="af-notice af-dim" role="status">
      Loading …
    </p>
  );
}
