"""From click to file through the whole chain: Rucio, data panel, notebook, XCache, X.509 origin."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from testbed.notebook import run
from testbed.person import Person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.facility import Facility

pytestmark = pytest.mark.browser

NOTEBOOK = "examples/zmumu.ipynb"
MANY = 30_000


@pytest.fixture
def many(facility: Facility) -> Iterator[Path]:
    """Make a folder of very many files, for a while: others compare the store with the catalogue."""
    folder = facility.layout.store / "cms" / "many"
    folder.mkdir()
    for number in range(MANY):
        os.mknod(folder / f"nanoaod_{number:05d}.root")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def bob(facility: Facility, new_page: Any) -> Iterator[Person]:
    """Seat bob in front of a Lab with an open notebook; his server ends with the test."""
    person = Person(new_page(), facility.base_url, "bob")
    person.log_in()
    person.settle("Small")
    person.open_notebook(NOTEBOOK)
    yield person
    facility.log_in("bob").stop_server()


def run_inserted(person: Person, text: str) -> Any:
    """Run the cell that was just inserted and return its first output."""
    cell = person.page.locator(".jp-Notebook .jp-Cell", has_text=text).first
    cell.wait_for()
    return run(person.page, cell).first


def test_dataset_is_read_through_the_cache_when_code_is_inserted(
    facility: Facility, bob: Person, shoot: Any
) -> None:
    """Rucio's dataset leads to a file, the file to code, the code through the cache to the origin."""
    bob.open_data("datasets")
    bob.hook("scope").select_option("cms")
    bob.enter_did("/ZMuMu/Simulated/CONTAINER")
    bob.enter_did("/ZMuMu/Simulated/BLOCK-1")
    row = bob.hook("did-row", name="/store/cms/zmumu/zmumu_0.root")
    row.locator('[data-af="replica"][data-via="cache"]').wait_for()
    row.click()
    bob.hook("details").wait_for()
    shoot(bob.page, "datasets")

    row.hover()
    row.locator('[data-af="row-insert"]').click()
    # a file of 100,000 events, in pieces of that many
    expect(run_inserted(bob, "/store/cms/zmumu/zmumu_0.root")).to_contain_text("100000")
    bob.hook("insert-dataset").first.click()
    expect(run_inserted(bob, "/store/cms/zmumu/zmumu_1.root")).to_contain_text("100000")

    bob.open_data("cache")
    bob.enter("cms")
    bob.enter("zmumu")
    bob.hook("row", name="zmumu_0.root", type="file").click()
    shoot(bob.page, "storage")
    assert bob.page.console_errors == []

    origin = facility.layout.log("xrootd-origin").read_text(errors="replace")
    assert "login as xcachesvc" in origin
    assert "bob" not in origin
    cached = {path.name for path in facility.layout.xrootd.rglob("zmumu_0.root*")}
    assert cached, "nothing of the file is in the cache"


def test_directory_of_30000_scrolls_when_opened_through_the_cache(many: Path, bob: Person) -> None:
    """The list is complete, few of its rows are in the page, and the last one can be reached."""
    bob.open_data("cache")
    bob.enter("cms")
    bob.enter(many.name)
    bob.hook("list", state="complete", count=str(MANY)).wait_for()
    bob.hook("row").first.click()
    for key, last in (("End", f"nanoaod_{MANY - 1:05d}.root"), ("Home", "nanoaod_00000.root")):
        bob.page.keyboard.press(key)
        bob.hook("row", name=last, type="file").wait_for()  # its kind has been looked up
        assert bob.hook("row").count() < 100
    assert bob.page.console_errors == []
