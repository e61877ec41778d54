"""Where clusters can run: one module per engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from af_hub.compute.backends.local import LocalEngine

if TYPE_CHECKING:
    from pathlib import Path

    from af_hub.compute.backends.base import Engine


def make_engines(folder: Path) -> dict[str, Engine]:
    """Make every engine, by the name of its backend in the facility file.

    Parameters
    ----------
    folder
        Of the gateway; each engine has a folder of its own below it.
    """
    return {"local": LocalEngine(folder / "clusters")}
