"""Names and texts that are code to a browser: on our pages they are texts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from testbed.page_hub import PageHub, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.browser

CODE = "<img src=x onerror=window.hacked=1>"
TEXT = f"{CODE}</script><script>hacked=2</script>{{{{7*7}}}}"
GROUP = f"/cms/{TEXT}"
USER = f"m{CODE}"

FACILITY = f"""
about: {{name: Hostile}}
identity: {{issuer: https://iam.example.org/, client_id: hub, client_secret_env: HOME}}
profiles:
  - name: one
    title: {json.dumps(TEXT)}
    description: {json.dumps(TEXT)}
    gpu: {{counts: [0, 1, 2]}}
    options:
      - name: release
        title: {json.dumps(TEXT)}
        choices:
          - {{name: old, title: {json.dumps(TEXT)}, description: {json.dumps(TEXT)}}}
          - {{name: new, title: New, description: {json.dumps(TEXT)}}}
    allowed_groups: [/cms/**]
  - name: two
    title: Two
    gpu: {{counts: [0, 1], product: {json.dumps(CODE)}}}
    allowed_groups: [/cms/**]
limits:
  - {{groups: [/cms/**], per: group, servers: 2}}
"""

FOUND = """() => ({
    hacked: window.hacked ?? null,
    images: document.querySelectorAll("img[src=x]").length,
    handlers: [...document.querySelectorAll(":is(.af-spawn, .af-overview), :is(.af-spawn, .af-overview) *")]
        .flatMap((element) => [...element.attributes])
        .filter(({ name, value }) => name.startsWith("on") || /^\\s*javascript:/i.test(value))
        .map(({ name }) => name),
})"""
NOTHING: dict[str, Any] = {"hacked": None, "images": 0, "handlers": []}


@pytest.fixture(scope="module")
def hostile_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageHub]:
    """Start a hub whose catalogue, groups and users are named by somebody who wants to do harm."""
    groups = {"/cms": ["dora"], GROUP: ["dora", USER]}
    hub = prepare(tmp_path_factory.mktemp("hostile-hub"), facility=FACILITY, groups=groups)
    try:
        hub.start()
        hub.take(USER, profile="one", gpu=1)
        yield hub
        hub.release()
    finally:
        hub.stop()


@pytest.fixture
def page(hostile_hub: PageHub, new_page: Any) -> Any:
    """Give the browser of the administrator, who sees most."""
    page = new_page()
    page.goto(f"{hostile_hub.url}/hub/login?next=%2Fhub%2Fhome")
    page.fill("input[name=username]", "dora")
    page.fill("input[name=password]", "x")
    page.click("input[type=submit], button[type=submit]")
    page.wait_for_url(lambda url: "/login" not in url)
    return page


def part(page: Any, name: str) -> Any:
    return page.locator(f'[data-af="{name}"]')


def test_spawn_page_shows_code_as_text(page: Any, hostile_hub: PageHub) -> None:
    page.goto(f"{hostile_hub.url}/hub/spawn")
    expect(part(page, "live")).to_have_attribute("data-state", "on")
    card = page.locator('.af-card[data-name="one"]')
    card.locator("input[name=profile]").check()
    # by the server: title, description, choices, what they are for
    assert card.inner_text().count(TEXT) >= 5
    # by the script: title and choice in the summary, quotas of groups, why something cannot be had
    expect(part(page, "chosen-title")).to_have_text(TEXT)
    expect(part(page, "chosen-facts")).to_contain_text(TEXT)
    expect(part(page, "meters").locator("h3", has_text=GROUP)).to_have_count(1)
    expect(page.locator('.af-card[data-name="two"]')).to_contain_text(f"There is no {CODE} here.")
    card.locator("select").select_option("new")
    expect(card.locator("[data-note-shown]", has_text=TEXT)).to_have_count(1)
    # and why nothing can be started any more, at the card, at the button and to screen readers
    hostile_hub.move(f"{USER}2", GROUP)
    hostile_hub.take(f"{USER}2", profile="one")
    reason = f"The quota of {GROUP} is reached"
    for place in (part(page, "chosen-reason"), part(page, "said"), card.locator(".af-reason")):
        expect(place).to_contain_text(reason)
    assert page.evaluate(FOUND) == NOTHING
    assert page.console_errors == []


def test_usage_page_shows_code_as_text(page: Any, hostile_hub: PageHub) -> None:
    page.goto(f"{hostile_hub.url}/hub/af/usage")
    expect(part(page, "groups").locator("th", has_text=GROUP)).to_have_count(1)
    expect(part(page, "models").locator("li", has_text=USER)).to_have_count(1)
    assert page.evaluate(FOUND) == NOTHING
    # what comes later is put there by the same script
    with page.expect_response("**/api/af/usage*"):
        pass
    expect(part(page, "live")).to_have_attribute("data-state", "on")
    expect(part(page, "models").locator("li", has_text=USER)).to_have_count(1)
    assert page.evaluate(FOUND) == NOTHING
    assert page.console_errors == []


def test_refusal_shows_code_as_text(page: Any, hostile_hub: PageHub) -> None:
    """JupyterHub's own page writes what our refusal says; the address asks for a start by itself."""
    query = "opt-profile=one&opt-options.release=%3Cimg%20src%3Dx%20onerror%3Dwindow.hacked%3D3%3E"
    page.goto(f"{hostile_hub.url}/hub/spawn?{query}")
    expect(page.locator("body")).to_contain_text("<img src=x")
    assert page.evaluate(FOUND) == NOTHING
