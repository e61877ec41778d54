"""``python -m af_hub.embedded.network --config FILE``: hold a network and relay its ports."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from af_hub.embedded.network.serve import NetworkConfig, run


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m af_hub.embedded.network", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="configuration file (JSON)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    return run(NetworkConfig.model_validate_json(options.config.read_text(encoding="utf-8")))


if __name__ == "__main__":
    raise SystemExit(main())
