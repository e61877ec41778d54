"""Fill a store: ``python -m af_hub.embedded.events STORE [--files N] [--events N] [--seed N]``."""

from __future__ import annotations

import argparse
import errno
import logging
import sys
from pathlib import Path

from af_hub.embedded.events.dataset import Sample, write

log = logging.getLogger("af_hub.embedded.events")


def samples(files: int, events: int, seed: int) -> list[Sample]:
    """Return what a facility's storage holds.

    Parameters
    ----------
    files
        Number of files in the CMS dataset.
    events
        Events in each of them.
    seed
        Of the first file; the others count on from it.
    """
    small = max(1, events // 10)
    return [
        *(
            Sample(f"cms/zmumu/zmumu_{number}.root", events, seed + number, 1 + number * events)
            for number in range(files)
        ),
        Sample("atlas/zmumu/zmumu_small.root", small, seed + 1000),
        Sample("open/zmumu/zmumu_small.root", small, seed + 2000),
    ]


def main() -> int:
    """Write the samples that are not there yet; exit code 28 says that the disk is full."""
    parser = argparse.ArgumentParser(prog="python -m af_hub.embedded.events")
    parser.add_argument("store", type=Path)
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=20260)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        for sample in samples(options.files, options.events, options.seed):
            log.info("%s: %d events", write(sample, options.store), sample.events)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        log.error("no space left on device")  # noqa: TRY400  nothing more to say
        return errno.ENOSPC
    return 0


if __name__ == "__main__":
    sys.exit(main())
