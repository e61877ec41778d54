"""The program of the manager: ``python -P run.py hold`` or ``python -P run.py describe``.

The kernel's Python may not have this package, or have an older one: so the package is taken from
where this file lies, without putting that folder, full of other packages, on the path.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

PACKAGE = "af_labextension"


def adopt(folder: Path) -> None:
    """Make the package importable from a folder that is not on the path."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(PACKAGE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    if PACKAGE not in sys.modules:  # else the start of this Python (readers) brought it
        adopt(Path(__file__).resolve().parents[2])
    program = {"hold": "serve", "describe": "describe"}[sys.argv[1]]
    sys.exit(importlib.import_module(f"{PACKAGE}.clusters.manager.{program}").main())
