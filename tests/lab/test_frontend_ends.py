"""What the page does when its server will end, in a real JupyterLab with answers as a test wants.

`tests/browser/test_server_ends.py` has the same with a hub that does end servers.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from testbed.front_end_lab import TOKEN, wait_until_started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.browser

ITEM = '[data-af="status-item"]:not([data-state="unknown"])'
LIMIT = 7200
SELDOM = 300
WARNED = "nothing has happened in it for a while, and 2 h 00 min are allowed"


@dataclass
class Ending:
    """A Lab's page whose server ends when a test says.

    Parameters
    ----------
    page
        The page.
    usual
        What the status is otherwise.
    at
        When the server ends without activity, in seconds since 1970.
    refused
        What the server says to whoever wants to keep it; None: it does so.
    said
        What the page has said.
    """

    page: Any
    usual: dict[str, Any]
    at: float
    refused: str | None = None
    said: list[str] = field(default_factory=list)

    def status(self, route: Any) -> None:
        """Answer who asks for the status."""
        idle = {"at": self.at, "why": "idle", "limit": LIMIT, "lead": 600}
        server = self.usual["server"] | {"ends": [idle]}
        route.fulfill(json=self.usual | {"server": server})

    def ends(self, route: Any) -> None:
        """Take what the page says; work in the page alone keeps nothing here."""
        self.said.append(json.loads(route.request.post_data)["what"])
        if self.said[-1] == "keep" and self.refused is not None:
            route.fulfill(status=503, json={"code": "hub", "message": self.refused})
            return
        if self.said[-1] == "keep":
            self.at = time.time() + LIMIT
        route.fulfill(json={"ends": []})

    @property
    def warning(self) -> Any:
        """The warning, as a notice in the corner."""
        return self.page.locator(".Toastify__toast", has_text=WARNED)

    def keep(self) -> None:
        """Press the button."""
        self.warning.get_by_role("button", name="Keep it running").click()


@pytest.fixture
def opened(front_end_lab: str, new_page: Any) -> Iterator[Callable[..., Ending]]:
    """Return a function that opens a Lab whose server ends in so many seconds.

    The status bar does not ask by itself meanwhile: what is asked is for the warning's sake.
    """

    def open_(seconds: float, **options: Any) -> Ending:
        page = new_page()
        usual = page.context.request.get(f"{front_end_lab}/af/status?token={TOKEN}").json()
        ending = Ending(page, usual, time.time() + seconds, **options)
        ending.page.route(re.compile("/af/status"), ending.status)
        ending.page.route(re.compile("/af/ends"), ending.ends)
        ending.page.goto(f"{front_end_lab}/lab/workspaces/ends?token={TOKEN}&reset")
        ending.page.wait_for_selector(ITEM)
        wait_until_started(ending.page)
        return ending

    request = new_page().context.request
    address = f"{front_end_lab}/lab/api/settings/af-labextension:status?token={TOKEN}"
    assert request.put(address, data={"raw": json.dumps({"interval": SELDOM})}).ok
    yield open_
    assert request.put(address, data={"raw": "{}"}).ok


def test_warning_is_shown_and_does_not_come_back_when_the_server_is_kept(
    opened: Callable[..., Ending], shoot: Any
) -> None:
    ending = opened(300)
    expect(ending.warning).to_contain_text(re.compile(r"This server stops at \d\d:\d\d: "))
    shoot(ending.page, "ends-warning")
    with ending.page.expect_response(re.compile("/af/status")):
        ending.keep()
    assert "keep" in ending.said
    expect(ending.warning).to_have_count(0)
    ending.page.click(ITEM)
    details = ending.page.locator('[data-af="status-details"]')
    expect(details).to_contain_text("Without activity it will be stopped in 1 h 59 min.")
    # several looks at the clock later
    expect(details).to_contain_text("in 1 h 59 min")
    expect(ending.warning).to_have_count(0)
    assert ending.page.console_errors == []


def test_nothing_is_shown_when_the_end_is_far(opened: Callable[..., Ending]) -> None:
    ending = opened(700)
    ending.page.click(ITEM)
    details = ending.page.locator('[data-af="status-details"]')
    expect(details).to_contain_text("Without activity it will be stopped in 11 min.")
    expect(ending.warning).to_have_count(0)


def test_warning_goes_by_itself_when_there_was_activity_elsewhere(
    opened: Callable[..., Ending],
) -> None:
    ending = opened(300)
    expect(ending.warning).to_be_visible()
    ending.at = time.time() + LIMIT
    # it looks every few seconds; the status bar asks once more after twenty, and then seldom
    expect(ending.warning).to_have_count(0, timeout=15_000)
    assert "keep" not in ending.said


def test_time_that_is_left_is_counted_down(opened: Callable[..., Ending]) -> None:
    ending = opened(50)
    ending.page.click(ITEM)
    details = ending.page.locator('[data-af="status-details"]')
    left = re.compile(r"Without activity it will be stopped in (\d+) s")
    expect(details).to_contain_text(left)
    seen = int(left.findall(details.inner_text())[0])
    # by itself, without an answer of the server
    ending.page.route(re.compile("/af/status"), lambda route: route.abort())
    expect(details).to_contain_text(f"stopped in {seen - 3} s", timeout=30_000)


def test_user_is_told_and_warned_again_when_keeping_fails(
    opened: Callable[..., Ending], shoot: Any
) -> None:
    ending = opened(300, refused="The hub does not answer; try again.")
    expect(ending.warning).to_be_visible()
    first = ending.warning.get_attribute("id")
    ending.keep()
    error = ending.page.locator(".Toastify__toast--error")
    expect(error).to_contain_text("The hub does not answer; try again.")
    # Lab closes the one whose button was pressed
    expect(ending.page.locator(f'[id="{first}"]')).to_have_count(0)
    expect(ending.warning).to_be_visible(timeout=15_000)
    shoot(ending.page, "ends-keep-failed")
    ending.refused = None
    ending.keep()
    expect(ending.warning).to_have_count(0)
    ending.page.click(ITEM)
    details = ending.page.locator('[data-af="status-details"]')
    expect(details).to_contain_text("stopped in 1 h 59 min")
