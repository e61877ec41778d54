"""The spawn page shows what the user may start, and says why something cannot be started."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.facility.profiles import Profile
from af_hub.spawner.page.compose import compose
from af_hub.spawner.page.form import render
from af_hub.spawner.page.live import state_of
from af_hub.spawner.policy.catalogue import visible
from af_hub.spawner.policy.site import Running, Site, Usage
from testbed.profiles import CATALOGUE, GIB, NOBODY, SITE

if TYPE_CHECKING:
    from af_hub.spawner.page.content import Card, Control, Page

MEMBER = visible(CATALOGUE, {"/cms/uscms"})


def chosen(page: Page) -> list[str]:
    return [card.name for card in page.cards if card.selected]


def control(card: Card, key: str) -> Control:
    found = card.control(key)
    assert found is not None
    return found


def selected(card: Card, key: str) -> list[str]:
    return [item.value for item in control(card, key).items if item.selected]


def only(**entry: Any) -> tuple[Any, ...]:
    profile = Profile.model_validate({"name": "one", "title": "One", **entry})
    return visible([profile], {"/cms/uscms"})


def test_last_choice_is_selected_when_it_is_still_offered() -> None:
    page = compose(MEMBER, NOBODY, SITE, {"profile": "large", "cpu": 2, "ram": 8 * GIB})
    assert chosen(page) == ["large"]
    assert page.notice == ""
    assert selected(page.cards[1], "cpu") == ["2"]
    assert selected(page.cards[1], "ram") == [str(8 * GIB)]


@pytest.mark.parametrize(
    "saved",
    [{"profile": "gone"}, {"profile": "admin"}, {"old": 1}, ["x"], {"profile": "large", "cpu": 7}],
)
def test_default_and_a_notice_are_shown_when_the_last_choice_is_gone(saved: object) -> None:
    page = compose(MEMBER, NOBODY, SITE, saved)
    assert "no longer offered" in page.notice
    assert len(chosen(page)) == 1
    assert selected(page.cards[1], "cpu") == ["1"]


def test_reasons_are_shown_when_something_is_not_available() -> None:
    page = compose(MEMBER, Usage((Running("me/", "me", profile="large"),), "me"), SITE, {})
    html = render(page, remarks=("Not isolated.",), support="")
    assert "You already run 1 of 1 servers" in html
    assert "A100: 1 of 2 free" in html
    assert "2 GPUs cannot be chosen: 1 of 2 A100 free now." in html
    assert "Not isolated." in html
    without = render(compose(MEMBER, NOBODY, Site(), {}), remarks=(), support="")
    assert "of 0 free" not in without
    assert "There is no A100 here." in without


def test_another_profile_is_selected_when_the_default_cannot_start() -> None:
    page = compose(MEMBER, NOBODY, Site(cores=16, memory=GIB), {})
    assert chosen(page) == []
    assert chosen(compose((*only(cpu=99, default=True), *MEMBER), NOBODY, SITE, {})) == ["small"]


def test_restricted_profile_is_absent_when_the_group_is_missing() -> None:
    page = compose(visible(CATALOGUE, {"/cms"}), NOBODY, SITE, {})
    assert [card.name for card in page.cards] == ["small", "large"]
    html = render(page, remarks=(), support="")
    assert 'value="gpu"' not in html
    assert "A100" not in html
    assert "Admin" not in html


def test_help_is_offered_when_no_profile_is_open() -> None:
    html = render(compose((), NOBODY, SITE, {}), remarks=(), support="mailto:help@example.org")
    assert "No profile of this facility is open to your groups." in html
    assert 'href="mailto:help@example.org"' in html


def test_texts_are_escaped_and_not_formatted_when_they_look_like_code() -> None:
    text = "<script>alert(1)</script> {user.__class__} {{ 7*7 }} %s"
    choice = {"name": "aa", "title": text, "description": text}
    other = {"name": "bb", "title": "b"}
    option = {"name": "oo", "title": text, "choices": [choice, other]}
    offered = only(title=text, description=text, options=[option])
    html = render(
        compose(offered, NOBODY, SITE, {}), remarks=(text,), support="", user=text, server=text
    )
    assert "<script>alert" not in html
    assert html.count("{user.__class__} {{ 7*7 }} %s") >= 6


def test_nothing_comes_from_elsewhere_when_the_page_is_rendered() -> None:
    html = render(compose(MEMBER, NOBODY, SITE, {}), remarks=(), support="")
    assert "http" not in html
    assert "@import" not in html
    assert "url(" not in html


def test_range_is_a_slider_that_ends_where_the_place_does() -> None:
    offered = only(ram={"min": "4G", "max": "128G", "step": "4G", "default": "16G"})
    ram = control(compose(offered, NOBODY, SITE, {}).cards[0], "ram")
    assert ram.kind == "range"
    assert ram.span == "4 to 128 GiB"
    assert ram.scale is not None
    assert (ram.scale.most, ram.scale.value) == (64 * GIB, 16 * GIB)
    assert ram.why == "Not more now: there is no place with more than 64 GiB."
    asked = {"profile": "one", "ram": "128G"}
    again = control(compose(offered, NOBODY, SITE, asked).cards[0], "ram")
    assert again.scale is not None
    assert again.scale.value == 64 * GIB


def test_slider_ends_at_the_quota_when_a_limit_is_nearer() -> None:
    profile = Profile.model_validate(
        {"name": "one", "title": "One", "cpu": {"min": 1, "max": 16}, "ram": "1G"}
    )
    limits = limits_of({"per": "user", "cpu": 10})
    offered = visible([profile], (), limits)
    usage = Usage((Running("me/a", "me", profile="one", cpu=6),), "me")
    cores = control(compose(offered, usage, SITE, {}).cards[0], "cpu")
    assert cores.scale is not None
    assert cores.scale.most == 4
    assert "Your servers may hold 10 cores together" in cores.why


def limits_of(*entries: dict[str, Any]) -> list[Any]:
    from af_hub.facility.limits import Limit

    return [Limit.model_validate(entry) for entry in entries]


def test_short_range_is_buttons_and_many_values_are_a_list() -> None:
    short = compose(only(cpu={"min": 1, "max": 4}), NOBODY, SITE, {}).cards[0]
    assert control(short, "cpu").kind == "segments"
    many = compose(only(cpu={"choices": list(range(1, 13))}), NOBODY, SITE, {}).cards[0]
    assert control(many, "cpu").kind == "list"
    fixed = compose(only(cpu=3), NOBODY, SITE, {}).cards[0]
    assert control(fixed, "cpu").kind == "fixed"
    assert control(fixed, "cpu").span == "3 cores"
    assert not fixed.has_choices


def test_number_of_gpus_falls_back_when_as_many_are_not_free() -> None:
    page = compose(MEMBER, NOBODY, SITE, {"profile": "gpu", "gpu": 2})
    assert selected(page.cards[2], "gpu") == ["1"]
    assert control(page.cards[2], "gpu").blocked == ("2",)


def test_wait_is_announced_when_there_is_a_queue() -> None:
    page = compose(MEMBER, NOBODY, replace(SITE, queue=True), {"profile": "gpu", "gpu": 2})
    assert selected(page.cards[2], "gpu") == ["2"]
    assert control(page.cards[2], "gpu").blocked == ()
    words = "1 of 2 free now: your server would wait in line."
    assert control(page.cards[2], "gpu").note == words
    assert words in render(page, remarks=(), support="")
    assert state_of(page)["profiles"][2]["choices"]["gpu"]["notes"] == {"2": words}


def test_own_image_is_remembered_when_it_is_allowed() -> None:
    image = {
        "choices": [{"name": "root", "title": "ROOT", "image": "r.example/root:1"}],
        "own": {"patterns": [r"r\.example/me/[a-z]+:[0-9]+"]},
    }
    offered = only(image=image)
    page = compose(offered, NOBODY, SITE, {"profile": "one", "image": "r.example/me/x:1"})
    shown = control(page.cards[0], "image")
    assert page.notice == ""
    assert (shown.kind, shown.own_value) == ("list", "r.example/me/x:1")
    assert not any(item.selected for item in shown.items)
    html = render(page, remarks=(), support="")
    assert 'value="r.example/me/x:1"' in html
    refused = compose(offered, NOBODY, SITE, {"profile": "one", "image": "evil.example/x:1"})
    assert "no longer offered" in refused.notice


def test_options_are_asked_with_what_each_choice_is_for() -> None:
    option = {
        "name": "release",
        "title": "Software",
        "choices": [
            {"name": "old", "title": "Old", "description": "Of last year."},
            {"name": "new", "title": "New", "default": True, "description": "Of this week."},
            {"name": "beta", "title": "Beta", "allowed_groups": ["/cms/af-admins"]},
        ],
    }
    card = compose(only(options=[option]), NOBODY, SITE, {}).cards[0]
    asked = control(card, "options.release")
    assert [item.value for item in asked.items] == ["old", "new"]
    assert asked.note == "Of this week."
    html = render(compose(only(options=[option]), NOBODY, SITE, {}), remarks=(), support="")
    assert 'name="one.options.release"' in html
    assert "Beta" not in html


def test_facts_say_what_the_server_will_be_like() -> None:
    offered = only(
        image="registry.example/a/b/lab:1.2@sha256:" + "0" * 64,
        home=False,
        max_lifetime="12h",
        idle_timeout="2h",
        volumes=[
            {"kind": "cvmfs"},
            {"kind": "scratch", "size": "50G"},
            {"kind": "s3", "claim": "c", "path": "/s3", "allowed_groups": ["/atlas"]},
        ],
    )
    texts = [fact.text for fact in compose(offered, NOBODY, SITE, {}).cards[0].facts]
    assert texts == [
        "lab:1.2",
        "/cvmfs",
        "50 GiB /scratch",
        "no home folder: files are gone with the server",
        "stops after 12 h",
        "stops when idle for 2 h",
    ]


def test_waiting_is_announced_when_nobody_counts_devices() -> None:
    page = compose(MEMBER, NOBODY, Site(gpus=None), {})
    gpu = page.cards[2]
    assert gpu.free is None
    assert gpu.blocked == ""
    assert any("not counted" in fact.text for fact in gpu.facts)


def test_state_says_what_has_changed_and_is_json() -> None:
    before = state_of(compose(MEMBER, NOBODY, SITE, {}))
    busy = Site(cores=16, memory=64 * GIB, gpus=())
    after = state_of(compose(MEMBER, NOBODY, busy, {}))
    assert json.loads(json.dumps(after)) == after
    gpu = {state["profiles"][2]["name"]: state["profiles"][2] for state in (before, after)}
    assert gpu["gpu"]["free"] is None
    assert before["profiles"][2]["free"] == {"free": 1, "total": 2, "text": "A100: 1 of 2 free"}
    assert after["profiles"][2]["choices"]["gpu"]["blocked"] == ["1", "2"]
    assert before["profiles"][:2] == after["profiles"][:2]
