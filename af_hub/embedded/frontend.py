"""Build the JupyterLab front end in a checkout and let this environment's JupyterLab find it.

Only a checkout needs this: a wheel carries the built front end, and an installation without sources
has nothing to build (`is_stale` is false, `link` does nothing)::

    if frontend.is_stale(root):
        frontend.build(root, run)
    frontend.link(root, Path(sys.prefix))
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NAME = "af-labextension"
_SERVER_CONFIG = "af_labextension.json"
_INPUTS = ("package.json", "package-lock.json", "tsconfig.json", "src", "style", "schema")
_STAMP = "inputs.sha256"


class Run(Protocol):
    """Runs a command to its end and raises when it fails."""

    def __call__(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> object:
        """Run ``command`` in the folder ``cwd`` with the whole environment ``env``."""


def is_stale(root: Path) -> bool:
    """Tell whether the front end must be built.

    Parameters
    ----------
    root
        The checkout: the folder that holds ``af_labextension``.

    Returns
    -------
    bool
        False if there are no sources, or if what is built was built from them. Contents count, not
        dates: a clone or a change of branch touches every date.
    """
    folder = root / "af_labextension"
    if not (folder / "package.json").is_file():
        return False
    if not (folder / "labextension" / "package.json").is_file():
        return True
    return _read(folder / "labextension" / _STAMP) != _digest(folder, _INPUTS)


def build(root: Path, run: Run) -> None:
    """Install the front end's build tools by the lock file, unless they stand, and build it.

    Needs ``node`` and ``npm``; about 40 s the first time, 10 s later.

    Parameters
    ----------
    root
        The checkout: the folder that holds ``af_labextension``.
    run
        Runs one command and raises when it fails; whatever it raises is passed on.
    """
    folder = root / "af_labextension"
    # jupyter-builder, which bundles the extension, is a script of this Python environment
    path = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path}
    modules = folder / "node_modules" / _STAMP
    locked = _digest(folder, ("package.json", "package-lock.json"))
    if _read(modules) != locked:
        run(("npm", "ci", "--no-progress"), cwd=folder, env=environment)
        modules.write_text(locked, encoding="ascii")
    inputs = _digest(folder, _INPUTS)
    run(("npm", "run", "build:prod"), cwd=folder, env=environment)
    (folder / "labextension" / _STAMP).write_text(inputs, encoding="ascii")


def link(root: Path, prefix: Path) -> None:
    """Link the built front end and the server extension's switch to where Jupyter looks for them.

    Parameters
    ----------
    root
        The checkout: the folder that holds ``af_labextension``.
    prefix
        The Python environment, ``Path(sys.prefix)``. What another version of the links or an
        installed wheel left there is replaced if it is a link, and kept if it is not.
    """
    folder = root / "af_labextension"
    places = {
        prefix / "share" / "jupyter" / "labextensions" / _NAME: folder / "labextension",
        prefix / "etc" / "jupyter" / "jupyter_server_config.d" / _SERVER_CONFIG: (
            folder / "jupyter-config" / _SERVER_CONFIG
        ),
    }
    for place, target in places.items():
        if not target.exists() or (place.exists() and not place.is_symlink()):
            continue
        if place.is_symlink() and place.readlink() == target:
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_name(f".{place.name}.{os.getpid()}")
        fresh.symlink_to(target)
        fresh.replace(place)


def _digest(folder: Path, names: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for file in _files(folder, names):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _files(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    for name in names:
        path = folder / name
        if path.is_file():
            yield path
        else:
            yield from sorted(file for file in path.rglob("*") if file.is_file())


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii")
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return None
