"""An open spawn page while the hub, the stream or the reader is away: never old numbers in silence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from testbed.page_hub import GPUS

if TYPE_CHECKING:
    from testbed.page_hub import PageHub

pytestmark = pytest.mark.browser


def test_page_says_so_and_recovers_when_the_hub_restarts(at: Any, page_hub: PageHub) -> None:
    seen = at("alice")
    page_hub.stop()
    expect(seen.part("live")).to_have_attribute("data-state", "off")
    expect(seen.part("live")).to_contain_text("may be old")
    page_hub.start()
    expect(seen.part("live")).to_have_attribute("data-state", "on", timeout=60_000)
    page_hub.take("user1", profile="gpu", gpu=1)
    expect(seen.card("gpu")).to_contain_text(f"{GPUS - 1} of {GPUS} free")


HIDE = """hidden => {
    Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
    document.dispatchEvent(new Event("visibilitychange"));
}"""
"""Hides or shows a page as a browser does."""


def test_hidden_page_asks_nothing(at: Any, page_hub: PageHub) -> None:
    seen = at("alice")
    seen.page.evaluate(HIDE, True)
    page_hub.take("user1", profile="gpu", gpu=1)
    before = len(seen.requests)
    expect(seen.card("gpu")).to_contain_text(f"{GPUS} of {GPUS} free")
    assert len(seen.requests) == before
    seen.page.evaluate(HIDE, False)
    expect(seen.card("gpu")).to_contain_text(f"{GPUS - 1} of {GPUS} free")


STREAM = re.compile(r"/api/af/profiles\?.*stream=1")
ASKED = re.compile(r"/api/af/profiles\?(?!.*stream)")


def test_page_asks_by_itself_when_something_in_between_lets_no_stream_through(
    at: Any, page_hub: PageHub
) -> None:
    seen = at("alice")
    seen.page.route(STREAM, lambda route: route.abort())
    seen.page.clock.install()
    seen.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page_hub.take("user1", profile="gpu", gpu=1)
    for _ in range(40):
        seen.page.clock.run_for(1_000)
        if any(ASKED.search(url) for url in seen.requests):
            break
    expect(seen.card("gpu")).to_contain_text(f"{GPUS - 1} of {GPUS} free")
    expect(seen.part("live")).to_have_attribute("data-state", "on")


def test_hidden_page_asks_no_more_when_an_answer_comes_late(at: Any) -> None:
    seen = at("alice")
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    seen.page.route(STREAM, lambda route: route.abort())
    seen.page.route(ASKED, hold)
    seen.page.clock.install()
    seen.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    for _ in range(40):
        seen.page.clock.run_for(1_000)
        if held:
            break
    expect(seen.part("live")).to_have_attribute("data-state", "off")
    seen.page.evaluate(HIDE, True)
    held[0].continue_()
    expect(seen.part("live")).to_have_attribute("data-state", "on")
    seen.page.clock.run_for(120_000)
    assert len(held) == 1


def test_page_can_start_again_when_the_browser_goes_back_to_it(at: Any) -> None:
    """Back shows a page as it was left, which is with a button that turns."""
    seen = at("alice")
    seen.page.evaluate(
        "document.querySelector('form:has(.af-spawn)')"
        ".addEventListener('submit', (event) => event.preventDefault())"
    )
    seen.start()
    expect(seen.part("start")).to_have_text("Starting…")
    expect(seen.part("start")).to_have_attribute("aria-disabled", "true")
    seen.page.evaluate(
        "window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
    )
    expect(seen.part("start")).to_have_text("Start")
    expect(seen.part("start")).to_have_attribute("aria-disabled", "false")
    expect(seen.part("live")).to_have_attribute("data-state", "on")
