"""Rucio's own Python environment in the cache folder, made by ``analysis-facility setup``."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from af_hub.embedded.installer import InstallerFailure, interruptible, run_installer
from af_hub.embedded.layout import cache_folder
from af_hub.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
"""Every package with its hash; made by ``tools/lock.py``."""

SERVER = Path(__file__).parent / "server"
"""Folder for the module path of Rucio's environment; it holds nothing but ``af_rucio``."""

FOREIGN = ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "UV_PYTHON")
"""Variables that would send the packages elsewhere."""

LEFT_OVER = 3600
"""Seconds after which an unfinished environment is nobody's work any more."""


def rucio_folder() -> Path:
    """Return where this version of Rucio's environment is, or will be, installed.

    The name holds a hash of everything that decides its content.
    """
    digest = hashlib.sha256(REQUIREMENTS.read_bytes())
    # an environment belongs to the Python that made it
    digest.update(f"{sys.version}\0{sys.base_prefix}".encode())
    return cache_folder() / f"rucio-{digest.hexdigest()[:16]}"


def rucio_python() -> Path:
    """Return the Python of Rucio's environment."""
    return rucio_folder() / "bin" / "python"


def install_rucio(report: Callable[[str], None]) -> None:
    """Install Rucio into the cache folder, unless it is there; called from the main thread.

    Raises
    ------
    SetupError
        ``rucio-not-installed`` with the end of the installer's output.
    KeyboardInterrupt
        On SIGINT, SIGTERM and SIGHUP; nothing is left then.
    """
    target = rucio_folder()
    if target.is_dir():
        return
    report("Installing the Rucio server")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_over(target.parent)
    # built beside its place and renamed: a half-finished one is never taken for whole
    with (
        interruptible(),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".rucio-") as temporary,
    ):
        folder = Path(temporary) / "environment"
        _fill(folder)
        try:
            os.rename(folder, target)  # noqa: PTH104  must fail if the target exists
        except OSError:
            if not target.is_dir():
                raise
            # another setup was faster; both are the same


def _remove_left_over(cache: Path) -> None:
    """Remove what installations left that were killed; a younger one may be at work."""
    for folder in cache.glob(".rucio-*"):
        if time.time() - folder.stat().st_mtime > LEFT_OVER:
            shutil.rmtree(folder, ignore_errors=True)


def _fill(folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    # no pip in it: that takes longer than all the rest, and Debian has it in a package apart
    commands = [[sys.executable, "-m", "venv", "--without-pip", str(folder)]]
    python = str(folder / "bin" / "python")
    locked = ["--require-hashes", "-r", str(REQUIREMENTS)]
    uv = Path(sys.executable).parent / "uv"
    if uv.exists():  # ten times as fast
        # compiled as by pip: else the first start of the server takes 5 s more
        options = ["--compile-bytecode", "--python", python]
        commands.append([str(uv), "pip", "install", *options, *locked])
    else:
        options = ["--no-input", "--disable-pip-version-check"]
        commands.append([sys.executable, "-m", "pip", "--python", python, "install", *options])
        commands[-1] += locked
    try:
        for command in commands:
            run_installer(command, folder=folder.parent, environment=environment)
    except InstallerFailure as failure:
        raise SetupError(
            "rucio-not-installed",
            f"{failure.what}. Is the network up? A facility without Rucio has `rucio: null` in "
            f"its file.{failure.words}",
        ) from failure
