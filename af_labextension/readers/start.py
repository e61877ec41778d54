"""Wait for the libraries that readers use, and mend each when it is first imported.

`analysis_facility_readers.pth` imports this module whenever Python starts, so it costs next to
nothing: no import beside ``os`` and ``sys``, which are there already. ``typing`` alone would take
longer than all the rest.
"""

from __future__ import annotations

import os
import sys

# what type checkers take for typing.TYPE_CHECKING
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

SWITCH = "AF_READERS"
"""Environment variable; ``off`` leaves every library as it is."""

MENDED = {
    "XRootD.client": "xrootd",
    "fsspec_xrootd.xrootd": "handles",
    "fsspec.implementations.http": "http",
}
"""Library module, and the module of this package that mends it by ``mend(module)``."""


class ImportWatch:
    """A finder that finds nothing by itself: it lets the others find and adds what is to be done.

    Parameters
    ----------
    mended
        As `MENDED`.
    """

    def __init__(self, mended: dict[str, str]) -> None:
        self._waiting = dict(mended)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module that waits to be mended, None for any other."""
        if name not in self._waiting:
            return None
        part = self._waiting.pop(name)
        if not self._waiting and self in sys.meta_path:
            sys.meta_path.remove(self)
        spec = _found_by_others(self, name, path, target)
        if spec is None:
            self._waiting[name] = part
        elif spec.loader is not None:
            _mend_after_load(spec.loader, part)
        return spec


def _found_by_others(
    watch: ImportWatch, name: str, path: Sequence[str] | None, target: ModuleType | None
) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if finder is not watch and find is not None:
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                return spec
    return None


def _mend_after_load(loader: Any, part: str) -> None:
    """Let a loader, which serves one module, mend the module when it has run."""
    run = loader.exec_module

    def run_and_mend(module: ModuleType) -> None:
        del loader.exec_module
        run(module)
        _mend(module, part)

    loader.exec_module = run_and_mend


def _mend(module: ModuleType, part: str) -> None:
    """Mend a module; a library of a shape that we do not know stays as it is."""
    from importlib import import_module  # noqa: PLC0415 - see the module's text

    try:
        import_module(f"{__package__}.{part}").mend(module)
    except Exception:
        # the user's import must not fail for us
        import logging  # noqa: PLC0415

        logging.getLogger(__package__).warning(
            "%s could not be prepared for tokens that are renewed", module.__name__, exc_info=True
        )


_done: list[bool] = []


def install() -> None:
    """Prepare the readers of this process, now or when they are imported; a second call is none."""
    if _done or os.environ.get(SWITCH) == "off":
        return
    _done.append(True)
    waiting = {}
    for name, part in MENDED.items():
        if name in sys.modules:
            _mend(sys.modules[name], part)
        else:
            waiting[name] = part
    if waiting:
        sys.meta_path.insert(0, ImportWatch(waiting))


install()
