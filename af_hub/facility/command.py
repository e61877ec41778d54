"""``analysis-facility check`` and ``analysis-facility schema``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from af_hub.errors import ConfigError
from af_hub.facility.load import load
from af_hub.facility.schema import schema

if TYPE_CHECKING:
    from pathlib import Path


def check(path: str | Path) -> int:
    """Check a facility file and print what is wrong with it.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    int
        Exit code: 0 if it is right, 1 with the problems on standard error if not.
    """
    try:
        facility = load(path)
    except ConfigError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    counts = (
        f"{len(facility.profiles)} profiles",
        f"{len(facility.storage)} storage doors",
        f"{len(facility.compute.types)} cluster types",
    )
    sys.stdout.write(f"{path} is right: {', '.join(counts)}.\n")
    for warning in facility.warnings():
        sys.stdout.write(f"Note: {warning}\n")
    return 0


def print_schema() -> None:
    """Print the JSON Schema of the facility file."""
    sys.stdout.write(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
