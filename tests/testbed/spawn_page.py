"""A user in front of the spawn page, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from testbed.page_hub import PageHub


class SpawnPage:
    """A user in front of the spawn page.

    Parameters
    ----------
    page
        A Playwright page.
    hub
        The hub.
    user
        Name of the user; anybody may log in.
    """

    def __init__(self, page: Any, hub: PageHub, user: str) -> None:
        self.page, self.hub, self.user = page, hub, user
        self.requests: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self) -> SpawnPage:
        """Log in and go to the page; wait until it is live."""
        self.page.goto(f"{self.hub.url}/hub/login")
        self.page.fill("input[name=username]", self.user)
        self.page.fill("input[name=password]", "x")
        self.page.click("input[type=submit], button[type=submit]")
        self.page.wait_for_url(lambda url: "/login" not in url)
        return self.reopen()

    def reopen(self) -> SpawnPage:
        """Go to the page again."""
        self.page.goto(f"{self.hub.url}/hub/spawn")
        if self.page.locator(".af-card").count():
            expect(self.part("live")).to_have_attribute("data-state", "on")
        return self

    def part(self, name: str) -> Any:
        """Find an element by its hook."""
        return self.page.locator(f'[data-af="{name}"]')

    def card(self, name: str) -> Any:
        """Find a card by the profile's name."""
        return self.page.locator(f'.af-card[data-name="{name}"]')

    def choose(self, name: str) -> None:
        """Choose a profile."""
        self.card(name).locator("input[name=profile]").check()

    def start(self) -> None:
        """Press Start."""
        self.part("start").click()

    def free(self) -> str:
        """Read how many GPUs the page says are free."""
        return str(self.card("gpu").locator('[data-af="free"] [data-text]').inner_text())

    def titles(self) -> list[str]:
        """Read what can be chosen."""
        return [str(each) for each in self.page.locator(".af-title").all_inner_texts()]


@pytest.fixture
def at(page_hub: PageHub, new_page: Any) -> Any:
    """Give a function that seats a user in front of the page, in a browser of their own."""

    def seat(user: str, **options: Any) -> SpawnPage:
        return SpawnPage(new_page(**options), page_hub, user).open()

    return seat
