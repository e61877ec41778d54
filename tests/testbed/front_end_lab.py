"""The front end as a wheel carries it, in a JupyterLab whose server answers as a test wants."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testbed.iam import free_ports
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "af_labextension" / "labextension" / "package.json"
TOKEN = "front-end-test"
DATA = "analysis_facility-*.data/data"
OWN_HOST = "alice.localhost"
"""Host name of a Lab that also answers at it, as with JupyterHub's ``subdomain_host``."""


@pytest.fixture(scope="session")
def front_end_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a wheel as from a source distribution, on a machine without Node; unpacked."""
    require("frontend", BUILT.is_file(), "the front end is not built (make setup)")
    source = tmp_path_factory.mktemp("sdist")
    unbuilt = shutil.ignore_patterns("node_modules", "lib", "lib-test", "__pycache__")
    for name in ("af_hub", "af_labextension"):
        shutil.copytree(ROOT / name, source / name, ignore=unbuilt)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    core = "Metadata-Version: 2.4\nName: analysis-facility\nVersion: 0.1.0\n"
    (source / "PKG-INFO").write_text(core, encoding="ascii")
    output = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(output)],
        cwd=source,
        env={"PATH": str(source / "no-programs-here"), "HOME": str(source)},
        check=True,
        capture_output=True,
        timeout=240,
    )
    (archive,) = output.glob("*.whl")
    unpacked = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(archive) as file:
        file.extractall(unpacked)
    return unpacked


def shared_data(wheel: Path) -> Path:
    """Return the folder of a wheel that goes to Jupyter's own places."""
    (data,) = wheel.glob(DATA)
    return data


@pytest.fixture(scope="session")
def front_end_lab(front_end_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a JupyterLab that finds the front end of the wheel; its address."""
    extensions = {"testbed.front_end_server": True, "af_labextension": False}
    home = tmp_path_factory.mktemp("home")
    with running_lab_process(front_end_wheel, home, extensions, {}) as address:
        yield address


@contextmanager
def running_lab_process(
    wheel: Path,
    home: Path,
    extensions: dict[str, bool],
    variables: dict[str, str],
    wrapped: Callable[..., Sequence[str]] = lambda *command: command,
) -> Iterator[str]:
    """Run a JupyterLab with the front end of a wheel; give its address.

    Parameters
    ----------
    wheel
        An unpacked wheel.
    home
        The user's folder; the log goes to ``lab.log`` in it.
    extensions
        Server extensions, and whether they are on.
    variables
        What is in its environment beside the usual.
    wrapped
        Turns the command into one that runs it elsewhere, such as in a control group.
    """
    (port,) = free_ports(1)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT / "tests"),
        "JUPYTER_PATH": str(shared_data(wheel) / "share" / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        **variables,
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
        *(f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"),
        f"--ServerApp.jpserver_extensions={extensions}",
        # where each user has a host name of its own; a browser finds all of .localhost here
        f"--ServerApp.local_hostnames={['localhost', OWN_HOST]}",
        # Lab asks jupyter.org for news otherwise
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        f"--ServerApp.root_dir={home}",
    ]
    log = home / "lab.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            wrapped(*command), cwd=home, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(process, address, log)
        yield address
    finally:
        process.terminate()
        process.wait(60)


def _wait_until_up(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/api", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


def wait_until_started(page: Any) -> None:
    """Wait until Lab, opened in a fresh workspace, has done what it does by itself.

    The last thing is to put the focus into the launcher, a second after our own parts are there:
    until then it takes the focus from whatever a test gave it to, and closes what lives by it.
    """
    page.wait_for_function(
        "document.querySelector('.jp-Launcher')?.contains(document.activeElement)", timeout=60_000
    )


@pytest.fixture
def lab_page(front_end_lab: str, new_page: Any) -> Any:
    """Open Lab in a fresh workspace."""
    page = new_page()
    page.goto(f"{front_end_lab}/lab/workspaces/front-end?token={TOKEN}&reset")
    wait_until_started(page)
    return page
