"""The spawn page in a real browser: what each group sees, what is free now, what is not and why."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from testbed.contrast import faint_texts
from testbed.pace import slowness
from testbed.page_hub import GPUS

if TYPE_CHECKING:
    from testbed.page_hub import PageHub

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}


@pytest.mark.parametrize(
    ("user", "titles"),
    [
        ("alice", ["Small", "Analysis", "Machine learning", "Small GPU"]),
        ("bob", ["Small", "Analysis"]),
        ("dora", ["Small", "Analysis"]),
        ("carol", ["Small"]),
        ("eve", []),
    ],
)
def test_each_group_sees_its_own_page(at: Any, user: str, titles: list[str]) -> None:
    seen = at(user)
    assert seen.titles() == titles
    if titles:
        assert seen.page.locator("input[name=profile]:checked").get_attribute("value") == "small"
        expect(seen.part("chosen-title")).to_have_text("Small")
    else:
        expect(seen.page.get_by_role("alert")).to_contain_text("No profile of this facility")
        expect(seen.part("start")).to_have_count(0)
    # the quotas of one's own groups, and of nobody else's
    quotas = seen.part("meters").locator("h3").all_inner_texts()
    assert ("/cms/uscms" in quotas) is (user == "alice")
    assert seen.page.console_errors == []


def test_count_falls_in_a_second_browser_when_somebody_takes_gpus(
    at: Any, page_hub: PageHub, shoot: Any
) -> None:
    alice, other = at("alice"), at("user1")
    other.choose("gpu")
    assert other.free() == f"NVIDIA A100: {GPUS} of {GPUS} free"

    alice.choose("gpu")
    counts = alice.card("gpu").get_by_role("group", name="GPUs")
    counts.get_by_role("radio", name="2").check()
    expect(alice.part("chosen-facts")).to_contain_text("2 GPUs")
    alice.start()
    page_hub.until("alice", lambda server: server is not None)
    begun = time.monotonic()
    left = f"NVIDIA A100: {GPUS - 2} of {GPUS} free"
    expect(other.card("gpu").locator('[data-af="free"]')).to_contain_text(left)
    seconds = time.monotonic() - begun
    print(f"the other browser knew after {seconds:.2f} s")
    assert seconds < 3 * slowness()
    expect(other.part("meters")).to_contain_text(f"2 of {GPUS}")
    assert page_hub.until("alice", lambda server: server["ready"])["user_options"] == {
        "profile": "gpu",
        "cpu": 4,
        "ram": 32 * 1024**3,
        "gpu": 2,
        "options": {"release": "stable"},
    }
    page_hub.take("user2", profile="gpu", gpu=4)
    # the picture of the README: some are free, some are not, and the page says so
    expect(other.card("gpu")).to_contain_text("4 GPUs cannot be chosen")
    counts = other.card("gpu").get_by_role("group", name="GPUs")
    expect(counts.get_by_role("radio", name="4")).to_be_disabled()
    expect(counts.get_by_role("radio", name="2")).to_be_enabled()
    shoot(other.page, "profiles")
    assert other.page.console_errors == []


def test_ninth_is_told_why_when_eight_gpus_are_taken(at: Any, page_hub: PageHub) -> None:
    ninth, offline, other = at("user9"), at("user8"), at("user7")
    elsewhere = other.card("gpu").locator("input[name=profile]")
    expect(elsewhere).to_be_enabled()
    for seen in (ninth, offline):
        seen.choose("gpu")
    # this page hears nothing more: a laptop that has just woken up
    offline.page.route("**/api/af/profiles*", lambda route: route.abort())
    offline.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    for number in (1, 2):
        page_hub.take(f"user{number}", profile="gpu", gpu=4)

    reason = "The quota of /cms/uscms is reached"
    expect(ninth.card("gpu").locator('[data-af="reason"]')).to_contain_text(reason)
    expect(ninth.part("chosen-reason")).to_contain_text(reason)
    expect(ninth.part("said")).to_contain_text(reason)
    expect(ninth.part("start")).to_have_attribute("aria-disabled", "true")
    # where another profile is chosen, this one cannot be
    expect(elsewhere).to_be_disabled()
    ninth.part("start").click(force=True)
    assert ninth.page.url.endswith("/hub/spawn"), "nothing was sent"

    offline.start()
    # on the page itself, or on the hub's page for starts where the answer took a second
    expect(offline.page.locator("body")).to_contain_text(reason)
    expect(offline.page.locator("body")).not_to_contain_text("Error:")
    assert page_hub.api("GET", "/users/user8")[1]["servers"] == {}

    # and when one gives theirs back, the page that waited can start, without a reload
    page_hub.api("DELETE", "/users/user1/server")
    expect(ninth.part("start")).to_have_attribute("aria-disabled", "false")
    expect(elsewhere).to_be_enabled()
    expect(ninth.part("said")).to_have_text("Machine learning can be started now.")
    ninth.start()
    page_hub.until("user9", lambda server: bool(server and server["ready"]))


def test_last_choice_is_remembered(at: Any, page_hub: PageHub) -> None:
    wanted = {"cpu": 4, "ram": 20 * 1024**3, "image": "registry.example.org/cms/mine:1"}
    page_hub.take("bob", profile="analysis", **wanted)
    page_hub.release()
    seen = at("bob")
    expect(seen.part("chosen-title")).to_have_text("Analysis")
    facts = seen.part("chosen-facts")
    for words in ("4 cores", "20 GiB", "registry.example.org/cms/mine:1", "stops after 7 d"):
        expect(facts).to_contain_text(words)
    seen.start()
    server = page_hub.until("bob", lambda server: bool(server and server["ready"]))
    assert server["user_options"] == {"profile": "analysis", **wanted}


def test_notice_is_shown_when_the_last_choice_is_gone(at: Any, page_hub: PageHub) -> None:
    page_hub.move("frank", "/cms")
    page_hub.take("frank", profile="analysis")
    page_hub.release()
    page_hub.move("frank", "/atlas", away_from="/cms")
    seen = at("frank")
    expect(seen.page.get_by_role("status").first).to_contain_text("no longer offered")
    assert seen.titles() == ["Small"]


def test_keyboard_alone_is_enough(at: Any, page_hub: PageHub) -> None:
    seen = at("alice")
    keys = seen.page.keyboard
    seen.page.locator("input[name=profile]:checked").focus()
    keys.press("ArrowDown")  # Analysis
    expect(seen.part("chosen-title")).to_have_text("Analysis")
    keys.press("Tab")  # cores, at 2
    keys.press("ArrowRight")
    keys.press("Tab")  # memory, at 16 GiB
    keys.press("ArrowRight")
    keys.press("ArrowRight")
    slider = seen.card("analysis").get_by_role("slider", name="Memory")
    expect(slider).to_be_focused()
    expect(slider).to_have_attribute("aria-valuetext", "24 GiB")
    keys.press("Tab")  # image
    keys.press("End")  # my own
    own = seen.card("analysis").get_by_label("Reference of my own image")
    expect(own).to_be_focused()
    expect(seen.part("start")).to_have_attribute("aria-disabled", "true")
    keys.type("registry.example.org/cms/mine:2")
    keys.press("Tab")
    expect(seen.part("start")).to_be_focused()
    keys.press("Enter")
    server = page_hub.until("alice", lambda server: bool(server and server["ready"]))
    assert server["user_options"] == {
        "profile": "analysis",
        "cpu": 4,
        "ram": 24 * 1024**3,
        "image": "registry.example.org/cms/mine:2",
    }


def test_screen_reader_hears_groups_names_states_and_reasons(at: Any) -> None:
    seen = at("alice")
    seen.choose("gpu")
    expect(seen.page.locator(".af-cards")).to_match_aria_snapshot(
        """
        - group "Profile":
          - radio "Small"
          - radio "Analysis"
          - radio /Machine learning/ [checked]
          - group "Cores":
            - radio "4" [checked]
          - group "GPUs":
            - radio "1" [checked]
          - group "Software":
            - radio "stable" [checked]
          - radio "Small GPU" [disabled]
        """
    )
    blocked = seen.card("mig").locator("input[name=profile]")
    expect(blocked).to_have_accessible_description(re.compile("There is no NVIDIA H100 here"))
    counted = seen.card("gpu").locator("input[name=profile]")
    expect(counted).to_have_accessible_description(re.compile("8 of 8 free"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("user", ["alice", "eve"])
def test_every_text_can_be_read_in_the_hubs_theme(
    at: Any, page_hub: PageHub, shoot: Any, scheme: str, user: str
) -> None:
    page_hub.take("user1", profile="gpu", gpu=4)
    page_hub.take("user2", profile="gpu", gpu=2)
    seen = at(user, color_scheme=scheme)
    if user == "alice":
        seen.choose("gpu")
    ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") is (scheme == "light")
    assert faint_texts(seen.page, ".af-spawn") == []
    shoot(seen.page, f"spawn-{user}-{scheme}")


def test_page_fits_a_phone_and_start_is_always_in_reach(
    at: Any, page_hub: PageHub, shoot: Any
) -> None:
    page_hub.take("user1", profile="gpu", gpu=4)
    seen = at("alice", **PHONE)
    seen.choose("gpu")
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert seen.page.evaluate(wide) == 0
    expect(seen.part("start")).to_be_in_viewport(ratio=1)
    small = seen.page.eval_on_selector_all(
        ".af-card:has(> .af-head input:checked) :is(.af-segment, select, .af-head), .af-start",
        "all => all.map(e => e.getBoundingClientRect())"
        ".filter(box => box.height < 24 || box.width < 24).length",
    )
    assert small == 0
    shoot(seen.page, "spawn-phone")
    seen.start()
    page_hub.until("alice", lambda server: bool(server and server["ready"]))


def test_nothing_is_asked_of_others_and_the_page_is_small(at: Any) -> None:
    seen = at("alice")
    assert {url.split("/hub/")[0] for url in seen.requests} == {seen.hub.url}
    size = len(seen.page.request.get(f"{seen.hub.url}/hub/spawn").body())
    assert size < 80_000
