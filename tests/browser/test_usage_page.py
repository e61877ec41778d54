"""The administrators' page in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from testbed.contrast import faint_texts

if TYPE_CHECKING:
    from testbed.page_hub import PageHub

pytestmark = pytest.mark.browser


@pytest.fixture
def logged_in(page_hub: PageHub, new_page: Any) -> Any:
    """Give a function that logs a user in, in a browser of their own."""

    def log_in(user: str, **options: Any) -> Any:
        page = new_page(**options)
        page.goto(f"{page_hub.url}/hub/login?next=%2Fhub%2Fhome")
        page.fill("input[name=username]", user)
        page.fill("input[name=password]", "x")
        page.click("input[type=submit], button[type=submit]")
        page.wait_for_url(lambda url: "/login" not in url)
        return page

    return log_in


def part(page: Any, name: str) -> Any:
    return page.locator(f'[data-af="{name}"]')


def test_administrator_sees_groups_gpus_owners_and_refusals(
    logged_in: Any, page_hub: PageHub, shoot: Any
) -> None:
    page = logged_in("dora")
    page.get_by_role("link", name="Usage").click()
    expect(part(page, "groups")).to_contain_text("/cms/uscms")
    expect(part(page, "models")).to_contain_text("8 of 8 free")

    page_hub.take("user1", profile="gpu", gpu=4)
    page_hub.take("user2", profile="gpu", gpu=2)
    page_hub.take("bob", profile="analysis", ram="64G")
    options = {"user_options": {"profile": "gpu", "gpu": 4}}
    assert page_hub.api("POST", "/users/user3/server", options)[0] == 409
    # told without a reload
    a100 = page.locator(".af-model", has_text="NVIDIA A100")
    expect(a100).to_contain_text("2 of 8 free")
    assert a100.locator("li").all_inner_texts() == ["user1\n4", "user2\n2"]
    row = part(page, "groups").locator("tr", has_text="/cms/uscms")
    expect(row).to_contain_text("6 of 8")
    refused = part(page, "refusals").locator("tr", has_text="group-limit")
    expect(refused).to_contain_text("The quota of a group was reached")
    expect(part(page, "live")).to_have_attribute("data-state", "on")
    assert page.console_errors == []
    shoot(page, "usage")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_can_be_read_in_the_hubs_theme_and_on_a_phone(
    logged_in: Any, page_hub: PageHub, shoot: Any, scheme: str
) -> None:
    page_hub.take("user1", profile="gpu", gpu=4)
    page = logged_in("dora", color_scheme=scheme, viewport={"width": 390, "height": 844})
    page.goto(f"{page_hub.url}/hub/af/usage")
    expect(part(page, "models")).to_contain_text("user1")
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    assert faint_texts(page, ".af-overview") == []
    shoot(page, f"usage-phone-{scheme}")


def test_page_is_closed_to_users(logged_in: Any, page_hub: PageHub) -> None:
    page = logged_in("alice")
    expect(page.get_by_role("link", name="Usage")).to_have_count(0)
    assert page.request.get(f"{page_hub.url}/hub/af/usage").status == 403


def test_page_says_so_and_recovers_when_the_hub_does_not_answer(
    logged_in: Any, page_hub: PageHub
) -> None:
    page = logged_in("dora")
    page.goto(f"{page_hub.url}/hub/af/usage")
    page.route("**/api/af/usage*", lambda route: route.abort())
    expect(part(page, "live")).to_have_attribute("data-state", "off")
    expect(part(page, "live")).to_contain_text("may be old")
    page.unroute("**/api/af/usage*")
    expect(part(page, "live")).to_have_attribute("data-state", "on")


HIDE = """hidden => {
    const fetch = window.fetch;
    window.asked = 0;
    window.fetch = (...what) => { window.asked += 1; return fetch(...what); };
    Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
    document.dispatchEvent(new Event("visibilitychange"));
}"""
"""Hides or shows a page as a browser does, and counts what it asks from then on."""


def test_hidden_page_asks_nothing(logged_in: Any, page_hub: PageHub) -> None:
    page = logged_in("dora")
    page.goto(f"{page_hub.url}/hub/af/usage")
    expect(part(page, "live")).to_have_attribute("data-state", "on")
    page.evaluate(HIDE, True)
    page.clock.install()
    page.clock.run_for(60_000)
    assert page.evaluate("window.asked") == 0
    page.evaluate(HIDE, False)
    expect(part(page, "models")).to_contain_text("8 of 8 free")
    page_hub.take("user1", profile="gpu", gpu=1)
    page.clock.run_for(5_000)
    expect(part(page, "models")).to_contain_text("7 of 8 free")


def test_hidden_page_asks_no_more_when_an_answer_comes_late(
    logged_in: Any, page_hub: PageHub
) -> None:
    page = logged_in("dora")
    page.goto(f"{page_hub.url}/hub/af/usage")
    expect(part(page, "live")).to_have_attribute("data-state", "on")
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/api/af/usage*", hold)
    with page.expect_request("**/api/af/usage*"):
        pass
    page.evaluate(HIDE, True)
    page.clock.install()
    held[0].abort()
    # that was the answer
    expect(part(page, "live")).to_have_attribute("data-state", "off")
    page.clock.run_for(60_000)
    assert page.evaluate("window.asked") == 0
