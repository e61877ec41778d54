"""The panel above the status bar, in a real JupyterLab with a server that answers as told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from testbed.front_end_lab import TOKEN, wait_until_started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.browser

DETAILS = '[data-af="status-details"]'
ITEM = '[data-af="status-item"]'
THEMES = "lab/api/settings/@jupyterlab/apputils-extension:themes"


def send(page: Any, address: str, body: object, method: str = "POST") -> None:
    """Send something to the server, past the page's own code."""
    answer = page.context.request.fetch(
        address,
        method=method,
        data=json.dumps(body),
        headers={"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
    )
    assert answer.ok, answer.text()


@pytest.fixture
def scene(front_end_lab: str, new_page: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that opens Lab in a scene; afterwards all is good again."""
    pages = []

    def show(name: str, *, theme: str = "JupyterLab Light", **options: Any) -> Any:
        page = new_page(**options)
        pages.append(page)
        send(page, f"{front_end_lab}/af/scene", {"name": name})
        send(page, f"{front_end_lab}/{THEMES}", {"raw": json.dumps({"theme": theme})}, "PUT")
        page.goto(f"{front_end_lab}/lab/workspaces/status?token={TOKEN}&reset")
        page.wait_for_selector(f'{ITEM}:not([data-state="unknown"])', state="attached")
        wait_until_started(page)
        return page

    yield show
    send(pages[-1], f"{front_end_lab}/af/scene", {"name": "good"})
    send(pages[-1], f"{front_end_lab}/{THEMES}", {"raw": "{}"}, "PUT")


def focused(page: Any) -> str:
    """Return the hook of what has the focus."""
    return str(page.evaluate("document.activeElement.dataset.af || ''"))


def test_details_open_and_close_by_keyboard(scene: Callable[..., Any]) -> None:
    page = scene("good")
    item = page.locator(ITEM)
    item.focus()
    expect(item).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{DETAILS}:focus")
    expect(item).to_have_attribute("aria-expanded", "true")
    scopes = page.locator('[data-af="status-token"][data-audience="storage"]')
    expect(scopes).to_contain_text("storage.read:/store/cms")
    expect(page.locator('[data-af="status-command"]')).to_have_text("oidc-token af")
    passed = []
    for _ in range(3):
        page.keyboard.press("Tab")
        passed.append(focused(page))
    assert passed[:2] == ["status-stop", "status-login"]
    page.locator('[data-af="status-stop"]').focus()
    page.keyboard.press("Escape")
    page.wait_for_selector(DETAILS, state="detached")
    page.wait_for_selector(f'{ITEM}:focus[aria-expanded="false"]')
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{DETAILS}:focus")
    assert page.console_errors == []


def test_work_goes_on_in_this_tab_when_the_login_is_done_in_another(
    scene: Callable[..., Any],
) -> None:
    page = scene("over")
    page.wait_for_selector(f'{ITEM}[data-state="error"]')
    page.evaluate("window.notReloaded = true")
    page.click(ITEM)
    expect(page.locator(DETAILS)).to_contain_text("Log in again at the hub.")
    with page.context.expect_page() as opened:
        page.click(f'{DETAILS} .af-actions [data-af="status-login"]')
    login = opened.value
    login.wait_for_load_state()
    assert login.title() == "Logged in"
    # also when the panel is closed meanwhile
    page.keyboard.press("Escape")
    page.wait_for_selector(f'{ITEM}[data-state="ok"]', timeout=15_000)
    assert page.evaluate("window.notReloaded") is True
    page.click(ITEM)
    page.wait_for_selector('[data-af="status-token"][data-state="ok"]')
    expect(page.locator('[data-af="status-renew"]')).to_have_count(0)
    assert page.console_errors == []


def test_a_click_tries_again_when_the_user_did_not_use_the_link(scene: Callable[..., Any]) -> None:
    page = scene("over")
    page.click(ITEM)
    page.wait_for_selector('[data-af="status-renew"]')
    send(page, page.url.split("/lab")[0] + "/af/scene", {"name": "good"})
    page.click('[data-af="status-renew"]')
    page.wait_for_selector('[data-af="status-token"][data-state="ok"]')


def show_by_palette(page: Any) -> None:
    """Open the details by Lab's palette."""
    page.get_by_role("menuitem", name="View", exact=True).click()
    page.get_by_role("menuitem", name="Activate Command Palette").click()
    field = page.locator("#command-palette input")
    field.fill("Show Identity, Tokens")
    field.press("Enter")
    page.locator(DETAILS).wait_for()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_all_of_a_long_panel_can_be_read_when_the_window_is_small(
    scene: Callable[..., Any], shoot: Any, theme: str, width: int
) -> None:
    page = scene("long", theme=theme, viewport={"width": width, "height": 520})
    if page.locator(ITEM).is_visible():
        page.click(ITEM)
    else:  # Lab hides the status bar in a narrow window
        show_by_palette(page)
    details = page.locator(DETAILS)
    details.locator('[data-af="status-more"]').first.wait_for()
    shoot(page, f"status-long-{theme.split()[1]}-{width}")
    groups = details.get_by_label("Groups", exact=True)
    expect(groups.locator('[role="listitem"]')).to_have_count(6)
    details.get_by_label("Groups: 34 more").click()
    expect(groups.locator('[role="listitem"]')).to_have_count(40)
    box = details.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert box["y"] >= page.locator("#jp-top-panel").bounding_box()["height"]
    assert details.evaluate("node => node.scrollWidth <= node.clientWidth")
    details.locator('[data-af="status-stop"]').scroll_into_view_if_needed()
    expect(details.locator('[data-af="status-stop"]')).to_be_visible()
    assert page.console_errors == []
