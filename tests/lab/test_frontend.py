"""The built front end: what a wheel carries, and that it works in a real JupyterLab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from testbed.front_end_lab import ROOT, shared_data
from testbed.front_end_server import ROWS

if TYPE_CHECKING:
    from pathlib import Path

STARTUP_LIMIT = 60_000
"""Bytes of our own code at Lab's start, without what module federation adds to every extension."""
LAZY_LIMIT = 50_000
"""Bytes of the content of a panel, which is fetched when the panel is first shown."""


def test_wheel_carries_the_built_extension_when_made_without_node(front_end_wheel: Path) -> None:
    extension = shared_data(front_end_wheel) / "share/jupyter/labextensions/af-labextension"
    package = json.loads((extension / "package.json").read_text())
    assert (extension / package["jupyterlab"]["_build"]["load"]).is_file()
    assert json.loads((extension / "install.json").read_text())["packageName"] == (
        "analysis-facility"
    )
    config = (
        shared_data(front_end_wheel) / "etc/jupyter/jupyter_server_config.d/af_labextension.json"
    )
    assert json.loads(config.read_text()) == {
        "ServerApp": {"jpserver_extensions": {"af_labextension": True}}
    }


def test_wheel_carries_what_prepares_readers_when_python_starts(front_end_wheel: Path) -> None:
    name = "analysis_facility_readers.pth"
    source = ROOT / "af_labextension" / "readers" / name
    assert (front_end_wheel / name).read_text() == source.read_text()


def test_wheel_carries_no_sources_of_the_front_end_when_built(front_end_wheel: Path) -> None:
    names = {path.name for path in (front_end_wheel / "af_labextension").iterdir()}
    assert "app.py" in names
    assert not names & {"src", "style", "schema", "node_modules", "labextension", "package.json"}


def test_script_is_small_and_names_no_foreign_host_when_built(front_end_wheel: Path) -> None:
    static = shared_data(front_end_wheel) / "share/jupyter/labextensions/af-labextension/static"
    scripts = [path for path in static.glob("*.js") if not path.name.startswith("remoteEntry")]
    parts = ("dask.", "data.", "details.", "ends.", "memory.")
    lazy = {path for path in scripts if path.name.startswith(parts)}
    assert len(lazy) == len(parts)
    assert all(path.stat().st_size < LAZY_LIMIT for path in lazy)
    startup = [path for path in scripts if path not in lazy]
    assert sum(path.stat().st_size for path in startup) < STARTUP_LIMIT
    for path in scripts:
        addresses = path.read_text().replace("http://www.w3.org/", "")
        assert "http://" not in addresses
        assert "https://" not in addresses


def test_lock_file_names_no_registry_when_committed() -> None:
    lock = (ROOT / "af_labextension" / "package-lock.json").read_text()
    assert '"resolved"' not in lock


@pytest.mark.browser
def test_status_shows_user_and_time_left_when_lab_opens(lab_page: Any) -> None:
    item = lab_page.locator('[data-af="status-item"][data-state="ok"]')
    item.wait_for()
    expect(item).to_contain_text("Alice Adams")
    expect(item).to_contain_text("token 50 min")
    item.click()
    lab_page.wait_for_selector('[data-af="status-token"][data-audience="storage"][data-state="ok"]')
    assert lab_page.locator('[data-af="status-stop"]').get_attribute("href").endswith("/hub/home")
    assert (
        lab_page.locator('[data-af="status-profile"]').count() == 0
    )  # it was a javascript: address
    assert lab_page.console_errors == []


@pytest.mark.browser
def test_few_rows_are_drawn_when_a_folder_holds_100000(lab_page: Any) -> None:
    lab_page.locator('.lm-TabBar-tab[data-id="af-data"]').click()
    listing = lab_page.locator(f'[data-af="list"][data-state="complete"][data-count="{ROWS}"]')
    listing.wait_for()
    rows = lab_page.locator('[data-af="row"]')
    for share in (0.0, 0.25, 0.5, 1.0):
        listing.evaluate("(node, share) => { node.scrollTop = share * node.scrollHeight; }", share)
        wanted = min(int(share * ROWS), ROWS - 1)
        lab_page.wait_for_selector(f'[data-af="row"][data-name="nano_{wanted:06d}.root"]')
        assert 0 < rows.count() < 100
    assert lab_page.console_errors == []


@pytest.mark.browser
def test_keys_and_filter_find_a_row_when_the_list_is_long(lab_page: Any) -> None:
    lab_page.locator('.lm-TabBar-tab[data-id="af-data"]').click()
    listing = lab_page.locator('[data-af="list"][data-state="complete"]')
    listing.focus()
    lab_page.keyboard.press("End")
    lab_page.wait_for_selector(f'[data-name="nano_{ROWS - 1:06d}.root"][aria-selected="true"]')
    lab_page.keyboard.type("nano_05")
    lab_page.wait_for_selector('[data-name="nano_050000.root"][aria-selected="true"]')
    lab_page.locator('[data-af="filter"]').fill("NANO_09999")
    lab_page.wait_for_selector('[data-af="list"][data-count="10"]')
    lab_page.locator('[data-af="sort-size"]').click()
    lab_page.wait_for_selector('[data-name="nano_099999.root"][aria-posinset="1"]')
    assert lab_page.console_errors == []
