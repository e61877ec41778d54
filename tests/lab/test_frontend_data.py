"""The data panel in a real browser: datasets beside storage, long lists, odd names, failures."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect

from testbed.front_end_lab import TOKEN
from testbed.front_end_rucio import BROKEN, DATASETS, FILES, LONG, MANY, SLOW_CODE
from testbed.pace import slowness

pytestmark = pytest.mark.browser

AWAY = {"code": "away", "message": "It does not answer. Try again in a minute."}


class Panel:
    """The data panel in front of a person.

    Parameters
    ----------
    page
        A Playwright page that shows Lab.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.asked: list[Any] = []
        page.on("request", self._remember)

    def _remember(self, request: Any) -> None:
        if "/af/" in request.url:
            self.asked.append(request)

    def hook(self, af: str, /, **data: str) -> Any:
        """Find an element by its stable hook, see ``tokens.ts`` of the front end."""
        quoted = {key: json.dumps(value, ensure_ascii=False) for key, value in data.items()}
        conditions = "".join(f"[data-{key}={value}]" for key, value in quoted.items())
        return self.page.locator(f'[data-af="{af}"]{conditions}')

    def open(self) -> Panel:
        """Open the panel."""
        self.page.locator('.lm-TabBar-tab[data-id="af-data"]').click()
        return self

    def show(self) -> Panel:
        """Open the panel unless it is open, also while Lab still restores its layout."""
        tab = self.page.locator('.lm-TabBar-tab[data-id="af-data"]')
        for _ in range(20):
            if self.hook("data-panel").is_visible():
                break
            tab.click()  # on the tab of an open panel it would close it
            with suppress(PlaywrightTimeout):
                self.hook("data-panel").wait_for(timeout=3000)
        return self

    def datasets(self) -> Panel:
        """Show the datasets of the scope ``cms``."""
        self.hook("source", name="datasets").click()
        self.hook("scope").select_option("cms")
        self.hook("did-row").first.wait_for()
        return self

    def wait(self, count: int, state: str = "complete") -> Any:
        """Wait for a list of so many rows, and return it."""
        found = self.hook("list", state=state, count=str(count))
        found.wait_for()
        return found

    def bodies(self, path: str) -> list[Any]:
        """Return what was posted to an endpoint."""
        asked = [each for each in self.asked if each.url.split("?")[0].endswith(path)]
        return [each.post_data_json for each in asked]


@pytest.fixture
def panel(lab_page: Any) -> Panel:
    """Seat a person in front of the closed data panel."""
    return Panel(lab_page)


def refusal(route: Any) -> None:
    """Answer a request as a service that is away."""
    route.fulfill(status=502, content_type="application/json", body=json.dumps(AWAY))


def test_first_rows_come_at_once_and_few_are_drawn_when_a_dataset_has_100000_files(
    panel: Panel,
) -> None:
    panel.open().datasets()
    panel.hook("did-row", name="/ZMuMu/Simulated/CONTAINER").click()
    panel.wait(2)
    start = time.monotonic()
    panel.hook("did-row", name=MANY).dblclick()
    panel.hook("did-row", type="file").first.wait_for()
    first = time.monotonic() - start
    listing = panel.wait(FILES)
    complete = time.monotonic() - start
    print(f"first rows after {first:.2f} s, all {FILES:,} after {complete:.2f} s")
    assert first < 2 * slowness()
    assert complete < 8 * slowness()
    # the second click did nothing to the row that came under it
    expect(panel.hook("details")).to_have_count(0)
    expect(panel.page.locator(".af-footer")).to_contain_text("100,000 files · 1.19 TiB")

    rows = panel.hook("did-row")
    for share in (0.0, 0.5, 1.0):
        listing.evaluate("(node, share) => { node.scrollTop = share * node.scrollHeight; }", share)
        number = min(int(share * FILES), FILES - 1)
        name = f"/store/mc/many/NANOAOD/{number // 1000:04d}/nano_{number:06d}.root"
        panel.hook("did-row", name=name).locator('[data-af="replica"]').first.wait_for()
        assert 0 < rows.count() < 100
    asked = [len(body["dids"]) for body in panel.bodies("rucio/replicas")]
    assert max(asked) <= 200
    assert sum(asked) < 500

    panel.hook("did-crumb", name="/ZMuMu/Simulated/CONTAINER").click()
    panel.wait(2)
    panel.hook("did-crumb").first.click()
    expect(panel.wait(len(DATASETS) + 1)).to_be_visible()
    assert panel.page.console_errors == []


def test_names_are_shown_as_text_and_rows_are_kept_when_they_are_odd_or_a_list_breaks(
    panel: Panel,
) -> None:
    # with so many scopes one types instead of choosing from a list
    scopes = [*(f"user.{number}" for number in range(5000)), "cms"]
    panel.page.route("**/af/rucio/scopes?*", lambda route: route.fulfill(json={"scopes": scopes}))
    panel.open().hook("source", name="datasets").click()
    panel.hook("scope").fill("cms")
    panel.hook("did-row").first.wait_for()
    assert panel.page.locator("#af-data option").count() < 100
    for name in DATASETS:
        row = panel.hook("did-row", name=name)
        assert row.locator(".af-name").text_content() == name
        assert row.get_attribute("title").startswith(f"cms:{name}\n")
        # nothing sticks out of the panel
        assert row.evaluate("node => node.scrollWidth <= node.clientWidth")
    odd = DATASETS[4]
    panel.hook("did-row", name=odd).click()
    panel.wait(3)
    asked = panel.asked[-1].url
    assert "name=%3Cb%20onmouseover%3Dalert(1)%3Ebold%3C%2Fb%3E%20%26%20%2F%2Fdouble%252f" in asked

    panel.hook("search").fill("DY")  # too short to be searched for without Enter
    panel.hook("search").press("Enter")
    panel.hook("did-row", name=LONG).wait_for()
    expect(panel.hook("did-row")).to_have_count(1)
    panel.hook("search").fill(f"cms:{BROKEN}")  # a whole identifier, and no Enter
    panel.hook("did-row", name=BROKEN).wait_for()
    panel.hook("did-row", name=BROKEN).click()
    panel.wait(50, state="error")
    notice = panel.hook("notice").inner_text()
    assert "Rucio broke off" in notice
    assert "50 entries" in notice
    assert panel.page.console_errors == []


def test_code_is_inserted_for_the_chosen_library_when_a_dataset_is_large(
    panel: Panel, front_end_lab: str
) -> None:
    page = panel.page
    panel.open().datasets()
    panel.hook("library").select_option("rdataframe")
    panel.hook("did-row", name=MANY).click()
    panel.hook("insert-dataset").click()
    panel.hook("working").wait_for()
    panel.hook("stop").click()
    panel.hook("working").wait_for(state="detached")
    panel.hook("insert-dataset").click()
    panel.hook("working").wait_for()
    cell = page.locator(".jp-Notebook .jp-Cell", has_text=f"# rdataframe {MANY}")
    cell.wait_for(timeout=60_000 + SLOW_CODE * 1000)
    expect(cell).to_have_count(1)  # what was stopped is not inserted

    row = panel.hook("did-row", type="file").nth(2)
    row.click()
    details = panel.hook("details")
    details.locator('[data-af="detail-replica"][data-rse="DEMO_DISK"]').wait_for()
    row.click(button="right")
    page.get_by_role("menuitem", name="Insert Code for coffea").click()
    page.locator(".jp-Notebook .jp-Cell", has_text="# coffea /store/mc/many/").wait_for()
    assert page.console_errors == []

    # source, scope and library are remembered
    page.goto(f"{front_end_lab}/lab/workspaces/front-end?token={TOKEN}")
    page.wait_for_selector("#jp-main-dock-panel")
    panel.show()
    panel.hook("did-row", name=MANY).wait_for()
    expect(panel.hook("library")).to_have_value("coffea")
    panel.hook("library").select_option("uproot")


@pytest.mark.parametrize(
    ("failing", "broken", "sound", "first_row"),
    [
        ("**/af/rucio/scopes?*", "datasets", "many", 'row"][data-name="nano_000000.root'),
        ("**/af/storage?*", "storage", "datasets", 'did-row"][data-scope="cms'),
    ],
    ids=["rucio", "storage"],
)
def test_one_source_works_when_the_other_is_away(
    panel: Panel, failing: str, broken: str, sound: str, first_row: str
) -> None:
    panel.page.route(failing, refusal)
    panel.open()
    panel.hook("source", name=broken).click()
    panel.hook("source", name=broken, state="error").wait_for()
    notice = panel.hook("notice").inner_text()
    assert AWAY["message"] in notice
    assert "Still there: " in notice
    panel.hook("source", name=sound).click()
    if sound == "datasets":
        panel.datasets()
    panel.page.wait_for_selector(f'[data-af="{first_row}"]')
    panel.page.unroute(failing)
    panel.hook("source", name=broken).click()
    panel.hook("retry").click()
    panel.hook("list", state="complete").wait_for(state="attached")  # it may be empty
    panel.hook("source", state="error").wait_for(state="detached")


def test_long_wait_is_told_when_rucio_does_not_answer(panel: Panel) -> None:
    held: list[Any] = []
    panel.page.route("**/af/rucio/scopes?*", lambda route: held.append(route))  # noqa: PLW0108
    panel.open()
    panel.page.clock.install()
    panel.hook("source", name="datasets").click()
    panel.hook("waiting").wait_for()
    expect(panel.hook("long-wait")).to_have_count(0)
    panel.page.clock.fast_forward(8_000)
    panel.hook("long-wait").get_by_text("Still there: ").wait_for()
    assert len(held) == 1
    held[0].abort()


def test_rows_in_sight_become_known_when_a_door_tells_names_only(panel: Panel) -> None:
    panel.open()
    panel.hook("source", name="datasets").focus()
    panel.page.keyboard.press("End")  # to the last tab, with the keys of tabs
    panel.hook("row", name="30000").wait_for()
    start = time.monotonic()
    panel.hook("row", name="30000").click()
    listing = panel.wait(30_000)
    print(f"30,000 names after {time.monotonic() - start:.2f} s")
    panel.hook("row", name="nano_000000.root", type="file").wait_for()
    listing.evaluate("node => { node.scrollTop = node.scrollHeight; }")
    panel.hook("row", name="nano_029999.root", type="file").wait_for()
    panel.hook("row", name="nano_029913.root").wait_for(state="detached")
    assert panel.hook("row").count() < 100
    asked = [body["names"] for body in panel.bodies("cache/stat")]
    assert max(map(len, asked)) <= 200
    assert sum(map(len, asked)) < 250
    panel.hook("sort-size").click()
    footer = panel.page.locator(".af-footer", has_text=re.compile(r"sorted by the \d+ whose size"))
    footer.wait_for()

    # a row that is not known yet is asked about before it is entered
    panel.hook("breadcrumb").locator("button").first.click()
    panel.page.route("**/af/storage/cache/stat?*", lambda _: None)  # no answer for now
    panel.hook("refresh").click()
    panel.hook("row", name="100000", type="unknown").wait_for()
    panel.hook("list").focus()
    panel.page.keyboard.type("1")
    with panel.page.expect_request("**/af/storage/cache/stat?*"):
        panel.page.keyboard.press("Enter")
    expect(panel.hook("breadcrumb", path="/")).to_be_visible()
    panel.page.unroute("**/af/storage/cache/stat?*")  # what waits goes on
    panel.hook("breadcrumb", path="/100000").wait_for()
    panel.wait(100_000)
    assert panel.page.console_errors == []


def test_panel_is_the_storage_alone_when_there_is_no_rucio_and_one_door(panel: Panel) -> None:
    page = panel.page
    door = {"name": "many", "title": "Many files", "url": "https://storage.example/store"}
    page.route("**/af/storage?*", lambda route: route.fulfill(json={"doors": [door]}))
    page.route("**/af/rucio?*", lambda route: route.fulfill(json={"available": False}))
    # the panel's content cannot be fetched at first
    page.route("**/af-labextension/static/data.*.js*", lambda route: route.abort())
    panel.open()
    panel.hook("notice").get_by_text("cannot be loaded").wait_for()
    page.unroute("**/af-labextension/static/data.*.js*")
    panel.hook("retry").click()
    panel.wait(100_000)
    expect(panel.hook("source")).to_have_count(0)
    expect(panel.hook("breadcrumb")).to_contain_text("Many files")
    # 250 pixels are enough for all of it
    page.evaluate("document.getElementById('af-data').style.width = '250px'")
    assert page.evaluate(
        "[...document.querySelectorAll('#af-data *')].every(node => node.clientWidth <= 250)"
    )
