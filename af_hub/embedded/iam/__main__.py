"""``python -m af_hub.embedded.iam --config FILE``: run the development IAM alone."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from af_hub.embedded.iam.config import IAMConfig
from af_hub.embedded.iam.serve import run


def main() -> None:
    """Parse the command line and serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m af_hub.embedded.iam", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="configuration file (JSON)")
    arguments = parser.parse_args()
    # INFO of the root would let Authlib's DEBUG lines out if somebody lowered it: they hold
    # whole tokens ("Issue token %r"), so that logger is pinned
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("authlib").setLevel(logging.WARNING)
    run(IAMConfig.load(arguments.config))


if __name__ == "__main__":
    main()
