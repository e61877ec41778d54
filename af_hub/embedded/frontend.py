"""Building the Lab's front end in a source checkout, and linking it into this environment.

A wheel carries the built front end and installs it where JupyterLab looks. An editable install
does neither, so `build_front_end` does both. It does nothing outside a checkout.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from af_hub.embedded.npm import npm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHECKOUT = Path(__file__).parents[2]

SOURCES = ("package.json", "package-lock.json", "tsconfig.json", "src", "style", "schema")
"""What the built front end is made from, below ``af_labextension/``."""


def build_front_end(report: Callable[[str], None], checkout: Path = CHECKOUT) -> None:
    """Build the front end if its sources are newer than what is built, and link it.

    Parameters
    ----------
    report
        Called with one line for each thing that takes time.
    checkout
        Folder that holds ``af_labextension/``.
    """
    folder = checkout / "af_labextension"
    if not (checkout / "pyproject.toml").is_file() or not (folder / "package.json").is_file():
        return
    built = folder / "labextension" / "package.json"
    if _older(built, _sources(folder)):
        # the same stamp as in the Makefile
        stamp = folder / "node_modules" / ".installed"
        if _older(stamp, iter((folder / "package.json", folder / "package-lock.json"))):
            report("Fetching the front end's tools")
            npm(["ci", "--no-audit", "--no-fund"], folder)
            stamp.touch()
        report("Building the front end")
        npm(["run", "build:prod"], folder)
    _link(
        folder / "labextension",
        Path(sys.prefix) / "share" / "jupyter" / "labextensions" / "af-labextension",
    )
    name = "af_labextension.json"
    _link(
        folder / "jupyter-config" / name,
        Path(sys.prefix) / "etc" / "jupyter" / "jupyter_server_config.d" / name,
    )


def _sources(folder: Path) -> Iterator[Path]:
    for name in SOURCES:
        path = folder / name
        yield from (
            (each for each in path.rglob("*") if each.is_file()) if path.is_dir() else (path,)
        )


def _older(product: Path, sources: Iterator[Path]) -> bool:
    """Tell whether `product` is missing or older than one of its sources."""
    if not product.exists():
        return True
    made = product.stat().st_mtime
    return any(path.stat().st_mtime > made for path in sources if path.exists())


def _link(source: Path, link: Path) -> None:
    if link.exists() and link.resolve() == source.resolve():
        return
    if link.exists() and not link.is_symlink():
        return  # a wheel's own copy
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(source)
