"""The spawn page shows what the user may start, and says why something cannot be started."""

from __future__ import annotations

import pytest

from af_hub.facility.profiles import Profile
from af_hub.spawner.catalogue import visible
from af_hub.spawner.form import compose, render
from af_hub.spawner.site import Running, Site, Usage
from testbed.profiles import CATALOGUE, GIB, NOBODY, SITE

MEMBER = visible(CATALOGUE, {"/cms/uscms"})


def chosen(page_cards: tuple[object, ...]) -> list[str]:
    return [card.name for card in page_cards if card.selected]  # type: ignore[attr-defined]


def test_last_choice_is_selected_when_it_is_still_offered() -> None:
    page = compose(MEMBER, NOBODY, SITE, {"profile": "large", "cpu": 2, "ram": 8 * GIB})
    assert chosen(page.cards) == ["large"]
    assert page.notice == ""
    large = page.cards[1]
    assert [item.value for item in (*large.cpu, *large.ram) if item.selected] == [2, 8 * GIB]


@pytest.mark.parametrize(
    "saved",
    [{"profile": "gone"}, {"profile": "admin"}, {"old": 1}, ["x"], {"profile": "large", "cpu": 7}],
)
def test_default_and_a_notice_are_shown_when_the_last_choice_is_gone(saved: object) -> None:
    page = compose(MEMBER, NOBODY, SITE, saved)
    assert "no longer offered" in page.notice
    assert len(chosen(page.cards)) == 1
    large = page.cards[1]
    assert [item.value for item in large.cpu if item.selected] == [1]


def test_reasons_are_shown_when_something_is_not_available() -> None:
    page = compose(MEMBER, Usage((Running("me/", "me", profile="large"),), "me"), SITE, {})
    html = render(page, remarks=("Not isolated.",), support="")
    assert "You already run 1 of 1 servers" in html
    assert "GPUs: 1 of 2 free" in html
    assert "2 GPUs cannot be chosen: 1 of 2 A100 free now." in html
    assert "Not isolated." in html
    without = render(compose(MEMBER, NOBODY, Site(), {}), remarks=(), support="")
    assert "GPUs: 0 of 0 free" in without
    assert "There is no A100 here." in without


def test_another_profile_is_selected_when_the_default_cannot_start() -> None:
    page = compose(MEMBER, NOBODY, Site(cores=16, memory=GIB), {})
    assert chosen(page.cards) == []
    big = Profile.model_validate({"name": "big", "title": "Big", "cpu": 99, "default": True})
    assert chosen(compose((*visible([big], ()), *MEMBER), NOBODY, SITE, {}).cards) == ["small"]


def test_restricted_profile_is_absent_when_the_group_is_missing() -> None:
    html = render(compose(visible(CATALOGUE, {"/cms"}), NOBODY, SITE, {}), remarks=(), support="")
    assert 'value="small"' in html
    assert "gpu" not in html.lower().replace("--af", "")
    assert "admin" not in html.lower()


def test_help_is_offered_when_no_profile_is_open() -> None:
    html = render(compose((), NOBODY, SITE, {}), remarks=(), support="mailto:help@example.org")
    assert "No profile of this facility is open to your groups." in html
    assert 'href="mailto:help@example.org"' in html


def test_texts_are_escaped_and_not_formatted_when_they_look_like_code() -> None:
    title = "<script>alert(1)</script> {user.__class__} {{ 7*7 }} %s"
    evil = Profile.model_validate({"name": "evil", "title": title, "description": title})
    html = render(compose(visible([evil], ()), NOBODY, SITE, {}), remarks=(title,), support="")
    assert "<script>alert" not in html
    assert html.count("{user.__class__} {{ 7*7 }} %s") == 3


def test_nothing_comes_from_elsewhere_when_the_page_is_rendered() -> None:
    html = render(compose(MEMBER, NOBODY, SITE, {}), remarks=(), support="")
    assert "http" not in html
    assert "@import" not in html
