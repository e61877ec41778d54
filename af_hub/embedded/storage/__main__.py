"""``python -m af_hub.embedded.storage --config FILE``: run the storage server alone."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from af_hub.embedded.storage.serve import StorageConfig, run


def main() -> None:
    """Parse the command line and serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m af_hub.embedded.storage", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="configuration file (JSON)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    run(StorageConfig.model_validate_json(options.config.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
