"""Debian's Chromium, driven by Playwright as a person would drive it."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # without these Chromium looks for update servers at every start
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENS = Path(os.environ.get("AF_SCREENSHOTS", "test-results/screens"))
# Lab's own housekeeping on a fresh server; everything else on the console is an error of ours
HARMLESS = re.compile(r"favicon|ResizeObserver loop|/api/(terminals|contents/\.)", re.IGNORECASE)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start one Chromium for the tests of a module.

    Not for the session: Playwright keeps an event loop running in the main thread for as long as
    it lives, and asynchronous tests that come later would find it.
    """
    require("browser", CHROMIUM, "chromium is not installed (apt install chromium)")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        with suppress(Exception):
            browser.close()


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Remember that a test failed, so that its pages are kept as pictures."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture
def new_page(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return a function that opens a page in a private context (own cookies).

    ``page.console_errors`` collects what the page complained about.
    """
    contexts = []

    def opener(**options: Any) -> Any:
        options = {"viewport": {"width": 1360, "height": 850}, **options}
        context = chromium.new_context(**options)
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.console_errors = []
        page.on(
            "console",
            lambda message: (
                page.console_errors.append(message.text)
                if message.type == "error" and not HARMLESS.search(message.text)
                else None
            ),
        )
        page.on("pageerror", lambda error: page.console_errors.append(str(error)))
        return page

    yield opener
    for number, context in enumerate(contexts):
        if request.node.stash.get(FAILED, False):
            SCREENS.mkdir(parents=True, exist_ok=True)
            for page in context.pages:
                page.screenshot(path=SCREENS / f"failed-{request.node.name}-{number}.png")
        context.close()


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Any:
    """Return ``shoot(page, name)``, which keeps a picture of the page as an artefact.

    ``around`` takes an element and shows no more than it and what is next to it.
    """
    SCREENS.mkdir(parents=True, exist_ok=True)

    def shooter(page: Any, name: str, around: Any = None) -> Path:
        path = SCREENS / f"{name}.png"
        clip = None
        if around is not None:
            box = around.bounding_box()
            left, top = max(0, box["x"] - 60), max(0, box["y"] - 20)
            clip = {"x": left, "y": top, "width": box["width"] + 120, "height": box["height"] + 60}
        page.screenshot(path=path, clip=clip)
        return path

    return shooter
