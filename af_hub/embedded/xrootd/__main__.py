"""``python -m af_hub.embedded.xrootd --config FILE``: run one xrootd in the inner network."""

from __future__ import annotations

import argparse
from pathlib import Path

from af_hub.embedded.xrootd.server import ServerConfig, run


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m af_hub.embedded.xrootd", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="configuration file (JSON)")
    options = parser.parse_args()
    return run(ServerConfig.model_validate_json(options.config.read_text(encoding="utf-8")))


if __name__ == "__main__":
    raise SystemExit(main())
