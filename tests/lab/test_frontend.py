"""The built front end: what a wheel carries, and that it works in a real JupyterLab."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testbed.front_end_server import ROWS
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "af_labextension" / "labextension" / "package.json"
TOKEN = "front-end-test"
DATA = "analysis_facility-*.data/data"
OWN_SCRIPT_LIMIT = 60_000
"""Bytes of our own code, without what module federation adds to every extension."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
        timeout=60,
    )
    (archive,) = output.glob("*.whl")
    unpacked = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(archive) as file:
        file.extractall(unpacked)
    return unpacked


def _data(wheel: Path) -> Path:
    (data,) = wheel.glob(DATA)
    return data


def test_wheel_carries_the_built_extension_when_made_without_node(wheel: Path) -> None:
    extension = _data(wheel) / "share/jupyter/labextensions/af-labextension"
    package = json.loads((extension / "package.json").read_text())
    assert (extension / package["jupyterlab"]["_build"]["load"]).is_file()
    assert json.loads((extension / "install.json").read_text())["packageName"] == (
        "analysis-facility"
    )
    config = _data(wheel) / "etc/jupyter/jupyter_server_config.d/af_labextension.json"
    assert json.loads(config.read_text()) == {
        "ServerApp": {"jpserver_extensions": {"af_labextension": True}}
    }


def test_wheel_carries_no_sources_of_the_front_end_when_built(wheel: Path) -> None:
    names = {path.name for path in (wheel / "af_labextension").iterdir()}
    assert "app.py" in names
    assert not names & {"src", "style", "schema", "node_modules", "labextension", "package.json"}


def test_script_is_small_and_names_no_foreign_host_when_built(wheel: Path) -> None:
    static = _data(wheel) / "share/jupyter/labextensions/af-labextension/static"
    scripts = [path for path in static.glob("*.js") if not path.name.startswith("remoteEntry")]
    assert sum(path.stat().st_size for path in scripts) < OWN_SCRIPT_LIMIT
    for path in scripts:
        addresses = path.read_text().replace("http://www.w3.org/", "")
        assert "http://" not in addresses
        assert "https://" not in addresses


def test_lock_file_names_no_registry_when_committed() -> None:
    lock = (ROOT / "af_labextension" / "package-lock.json").read_text()
    assert '"resolved"' not in lock


@pytest.fixture(scope="module")
def lab(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a JupyterLab that finds the front end of the wheel; its address."""
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    extensions = {"testbed.front_end_server": True, "af_labextension": False}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT / "tests"),
        "JUPYTER_PATH": str(_data(wheel) / "share" / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
        *(f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"),
        f"--ServerApp.jpserver_extensions={extensions}",
        # Lab asks jupyter.org for news otherwise
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        f"--ServerApp.root_dir={home}",
    ]
    log = home / "lab.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=home, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(process, address, log)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _wait_until_up(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/api", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


@pytest.fixture
def page(lab: str, new_page: Any) -> Any:
    """Open Lab in a fresh workspace."""
    page = new_page()
    page.goto(f"{lab}/lab/workspaces/front-end?token={TOKEN}&reset")
    page.wait_for_selector(".jp-Launcher")
    return page


@pytest.mark.browser
def test_status_shows_user_and_time_left_when_lab_opens(page: Any) -> None:
    item = page.locator('[data-af="status-item"][data-state="ok"]')
    item.wait_for()
    assert "Alice Adams" in item.inner_text()
    assert "token 50 min" in item.inner_text()
    item.click()
    page.wait_for_selector('[data-af="status-token"][data-audience="storage"][data-state="ok"]')
    assert page.locator('[data-af="status-stop"]').get_attribute("href").endswith("/hub/home")
    assert page.locator('[data-af="status-profile"]').count() == 0  # it was a javascript: address
    assert page.console_errors == []


@pytest.mark.browser
def test_few_rows_are_drawn_when_a_folder_holds_100000(page: Any) -> None:
    page.locator('.lm-TabBar-tab[data-id="af-data"]').click()
    listing = page.locator(f'[data-af="list"][data-state="complete"][data-count="{ROWS}"]')
    listing.wait_for()
    rows = page.locator('[data-af="row"]')
    for share in (0.0, 0.25, 0.5, 1.0):
        listing.evaluate("(node, share) => { node.scrollTop = share * node.scrollHeight; }", share)
        wanted = min(int(share * ROWS), ROWS - 1)
        page.wait_for_selector(f'[data-af="row"][data-name="nano_{wanted:06d}.root"]')
        assert 0 < rows.count() < 100
    assert page.console_errors == []


@pytest.mark.browser
def test_keys_and_filter_find_a_row_when_the_list_is_long(page: Any) -> None:
    page.locator('.lm-TabBar-tab[data-id="af-data"]').click()
    listing = page.locator('[data-af="list"][data-state="complete"]')
    listing.focus()
    page.keyboard.press("End")
    page.wait_for_selector(f'[data-name="nano_{ROWS - 1:06d}.root"][aria-selected="true"]')
    page.keyboard.type("nano_05")
    page.wait_for_selector('[data-name="nano_050000.root"][aria-selected="true"]')
    page.locator('[data-af="filter"]').fill("NANO_09999")
    page.wait_for_selector('[data-af="list"][data-count="10"]')
    page.locator('[data-af="sort-size"]').click()
    page.wait_for_selector('[data-name="nano_099999.root"][aria-posinset="1"]')
    assert page.console_errors == []


@pytest.mark.browser
def test_dashboard_cannot_touch_lab_when_its_pane_is_open(page: Any) -> None:
    page.locator('.lm-TabBar-tab[data-id="af-dask"]').click()
    page.locator('[data-af="cluster-dashboards"]').click()
    page.locator('[data-af="dashboard-link"][data-title="Own"]').click()
    frame = page.locator('[data-af="dashboard-pane"] iframe')
    assert frame.get_attribute("sandbox") == "allow-scripts"
    found = page.frame_locator('[data-af="dashboard-pane"] iframe').locator("#found")
    found.get_by_text("isolated").wait_for()


@pytest.mark.browser
def test_dashboard_is_refused_when_it_lies_outside_the_server(page: Any) -> None:
    page.locator('.lm-TabBar-tab[data-id="af-dask"]').click()
    page.locator('[data-af="cluster-dashboards"]').click()
    page.locator('[data-af="dashboard-link"][data-title="Foreign"]').click()
    page.get_by_text("lies outside this server").first.wait_for()
    assert page.locator('[data-af="dashboard-pane"]').count() == 0
