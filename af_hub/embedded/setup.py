"""Preparing a machine: what must be there, what is installed or built once.

Everything here is quick when there is nothing to do, since `analysis-facility run` does it first.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from af_hub.embedded.frontend import build_front_end
from af_hub.embedded.npm import npm
from af_hub.embedded.proxy import FILES, SOURCE, proxy_folder
from af_hub.embedded.rucio.environment import install_rucio
from af_hub.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NODE = 20
"""Oldest major version of Node that configurable-http-proxy 5.3 and the front end's tools run on."""

MODULES = ("jupyterhub", "jupyterlab", "dask_gateway_server", "wsgidav", "authlib", "uproot")
"""One module of each group of dependencies of the extra ``facility``."""


def prepare(report: Callable[[str], None], *, rucio: bool = True) -> None:
    """Check this machine and install or build what is missing.

    Parameters
    ----------
    report
        Called with one line for each thing that takes time.
    rucio
        Whether the Rucio server is needed, too.

    Raises
    ------
    SetupError
        Something is missing that only the user can install (all of it is named at once), or a
        command failed.
    """
    problems = [*missing_modules(), *missing_programs()]
    if problems:
        raise SetupError("machine-incomplete", " ".join(problems))
    with _writable_cache():
        install_proxy(report)
        build_front_end(report)
    if rucio:
        prepare_rucio(report)


def prepare_rucio(report: Callable[[str], None]) -> None:
    """Install the Rucio server if it is missing; only facilities with one of their own need it.

    Raises
    ------
    SetupError
        The folder cannot be written, or the installation failed.
    """
    with _writable_cache():
        install_rucio(report)


@contextmanager
def _writable_cache() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise SetupError(
            "cache-not-writable",
            f"{error.filename} cannot be written. Correct its owner, "
            "or name another cache folder in XDG_CACHE_HOME.",
        ) from error


def require_modules() -> None:
    """Check the Python packages before anything imports them.

    Raises
    ------
    SetupError
        ``packages-missing``.
    """
    if problems := missing_modules():
        raise SetupError("packages-missing", " ".join(problems))


def missing_modules() -> list[str]:
    """Return a sentence if Python packages of the extra ``facility`` are missing."""
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if not missing:
        return []
    packages = ", ".join(missing)
    command = f"{sys.executable} -m pip install 'analysis-facility[facility]'"
    return [f"Python packages are missing ({packages}): {command}."]


def missing_programs() -> list[str]:
    """Return a sentence for each of node and npm that is missing or too old."""
    problems = []
    node = shutil.which("node")
    if node is None:
        problems.append(
            "Node.js is missing (the proxy in front of JupyterHub runs on it). "
            f"On Debian or Ubuntu: apt install nodejs npm (version {NODE} or newer)."
        )
    elif (version := _node_version(node)) < NODE:
        problems.append(
            f"Node.js is too old: {node} is version {version}, {NODE} or newer is needed. "
            "Debian 12 and Ubuntu 22.04 carry an older one: take it from https://nodejs.org."
        )
    if shutil.which("npm") is None:
        problems.append("npm is missing. On Debian or Ubuntu: apt install npm.")
    return problems


def _node_version(node: str) -> int:
    try:
        answer = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=20, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.match(r"v([0-9]+)\.", answer)
    return int(match[1]) if match else 0


def install_proxy(report: Callable[[str], None]) -> None:
    """Install configurable-http-proxy into the cache folder, unless it is there."""
    target = proxy_folder()
    if target.is_dir():
        return
    report("Installing configurable-http-proxy")
    target.parent.mkdir(parents=True, exist_ok=True)
    # built beside its place and renamed: a half-finished one is never taken for whole
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".proxy-") as temporary:
        folder = Path(temporary) / "proxy"
        folder.mkdir()
        for name in FILES:
            shutil.copyfile(SOURCE / name, folder / name)
        npm(["ci", "--omit=dev", "--no-audit", "--no-fund", "--ignore-scripts"], folder)
        try:
            os.rename(folder, target)  # noqa: PTH104  must fail if the target exists
        except OSError:
            if not target.is_dir():
                raise
            # another setup was faster; both are the same
