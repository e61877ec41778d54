"""The project's wheel, built on this machine: images are given it and need no Node.js to build it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from af_hub.embedded.npm import npm
from tools.images.errors import ImageError
from tools.images.inputs import copy, fingerprint, tracked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.images.places import Places

FRONT = "af_labextension"

WHEEL = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "af_hub", FRONT, "examples")
"""Everything that a wheel is made from."""

# as a source distribution: the hook then takes the front end that is there
MARK = "Metadata-Version: 2.4\nName: analysis-facility\nVersion: 0\n"


def wheel_files(root: Path) -> list[str]:
    """List the tracked files that decide the wheel."""
    return tracked(root, *WHEEL)


def wheel(root: Path, places: Places, report: Callable[[str], None]) -> Path:
    """Return the wheel of the checkout as it is, building it if its files have changed.

    Raises
    ------
    ImageError
        It cannot be built.
    SetupError
        npm is missing or has failed.
    """
    names = wheel_files(root)
    with _made(places.wheels / f"wheel-{fingerprint(root, names)[:16]}") as (target, part):
        if part is not None:
            front = _front_end(root, places, report)
            report("Building the wheel")
            source = part / "source"
            copy(root, names, source)
            shutil.copytree(front, source / FRONT / "labextension")
            (source / "PKG-INFO").write_text(MARK)
            command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(part)]
            done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
            if done.returncode:
                last = (done.stderr or done.stdout).strip().splitlines()[-1:]
                raise ImageError(f"The wheel cannot be built: {' '.join(last)}")
            shutil.rmtree(source)
    (found,) = target.glob("*.whl")
    return found


def _front_end(root: Path, places: Places, report: Callable[[str], None]) -> Path:
    names = [name for name in tracked(root, FRONT) if not name.endswith(".py")]
    # their tests and settings are few; a list of what matters would be wrong one day
    with _made(places.wheels / f"front-{fingerprint(root, names)[:16]}") as (target, part):
        if part is not None:
            report("Building the front end")
            source = part / "source"
            copy(root, names, source)
            folder = source / FRONT
            # the bundler asks for the version of the package around it
            copy(root, tracked(root, "pyproject.toml"), source)
            npm(["ci", "--no-audit", "--no-fund"], folder)
            npm(["run", "build:prod"], folder)
            (folder / "labextension").rename(part / "labextension")
            shutil.rmtree(source)
    return target / "labextension"


@contextmanager
def _made(target: Path) -> Iterator[tuple[Path, Path | None]]:
    """Give a folder to fill if `target` is not there yet; it takes its place when it is whole."""
    if target.is_dir():
        os.utime(target)
        yield target, None
        return
    with tempfile.TemporaryDirectory(prefix=".half-", dir=target.parent) as folder:
        part = Path(folder) / "part"
        part.mkdir()
        yield target, part
        part.rename(target)
