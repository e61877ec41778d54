"""``run.py describe``: one line of JSON about the kernel's Python, without importing distributed."""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import Any


def described() -> dict[str, Any]:
    """Return what the Lab server has to know.

    Returns
    -------
    dict
        ``distributed``, ``cryptography``: whether they are there; ``configured``: the value of
        ``labextension`` in the user's Dask configuration, or None; ``problem``: why it cannot be
        read, or None.
    """
    found: dict[str, Any] = {"configured": None, "problem": None}
    for name in ("distributed", "cryptography"):
        found[name] = importlib.util.find_spec(name) is not None
    if found["distributed"]:
        try:
            # the whole package, since what is installed beside it may add to its configuration
            config = importlib.import_module("dask").config
            found["configured"] = config.get("labextension", None)
            json.dumps(found)
        except Exception as error:  # noqa: BLE001 - a broken file of the user must not hide the rest
            found["configured"] = None
            found["problem"] = f"{type(error).__name__}: {error}"[:300]
    return found


def main() -> int:
    """Print it."""
    sys.stdout.write(json.dumps(described()) + "\n")
    return 0
