"""Storage doors as the hub or the settings name them."""

from __future__ import annotations

from typing import Any

import pytest

from af_labextension.data.doors import Door, Doors, door_from
from af_labextension.errors import LabError, Refused


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": None}, "name"),
        ({"url": None}, "url"),
        ({"url": "file:///etc"}, "url"),
        ({"url": "https://host/store?x=1"}, "url"),
        ({"url": "https://user:pw@host/store"}, "url"),
        ({"url": "https://host/sto re"}, "url"),
        ({"url": "http://host/store"}, "https"),
        ({"audience": 3}, "audience"),
    ],
)
def test_a_door_is_refused_when_it_cannot_be_meant(change: dict[str, Any], word: str) -> None:
    entry = {"name": "d", "title": "D", "url": "https://host/store", "audience": "storage"}
    with pytest.raises(ValueError, match=word):
        door_from({**entry, **change})


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("https://HOST:443/store/", "https://host/store"),
        ("https://host:8444", "https://host:8444"),
        ("https://[::1]:8444/s", "https://[::1]:8444/s"),
        ("http://127.0.0.1:80/s", "http://127.0.0.1/s"),
    ],
)
def test_a_door_has_one_form_of_url_when_hosts_and_ports_are_written_freely(
    url: str, form: str
) -> None:
    assert door_from({"name": "d", "url": url, "audience": "a"}).url == form


def test_an_open_door_may_be_http() -> None:
    assert door_from({"name": "d", "url": "http://host/s"}) == Door("d", "d", "http://host/s", None)


async def test_the_settings_win_when_both_name_doors() -> None:
    async def config() -> dict[str, Any]:
        raise AssertionError("not asked")

    fixed = Door("mine", "Mine", "https://h/s", "x")
    doors = Doors([fixed], config)
    assert await doors.all() == (fixed,)
    with pytest.raises(Refused) as refusal:
        await doors.find("other")
    assert refusal.value.status == 404


@pytest.mark.parametrize("storage", [[{"name": "x y"}], [3], "abc", 7])
async def test_a_list_of_doors_is_refused_when_the_hub_sends_garbage(storage: object) -> None:
    async def config() -> dict[str, Any]:
        return {"storage": storage}

    with pytest.raises(LabError) as error:
        await Doors([], config).all()
    assert error.value.code == "storage-config"


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("root://HOST:1094//store/", "root://host:1094//store"),
        ("root://host/store", "root://host//store"),
        ("roots://host:1094", "roots://host:1094/"),
        ("root://[::1]:1094//", "root://[::1]:1094/"),
    ],
)
def test_an_xrootd_door_has_one_form_of_url(url: str, form: str) -> None:
    door = door_from({"name": "d", "url": url, "audience": "a"})
    assert (door.url, door.kind) == (form, "xrootd")


@pytest.mark.parametrize(
    "url",
    ["root://host//store?authz=x", "root://user@host//store", "root://host//st%20re", "root:////s"],
)
def test_an_xrootd_door_is_refused_when_its_url_holds_more_than_a_place(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        door_from({"name": "d", "url": url, "audience": "a"})


def test_a_door_tells_its_kind() -> None:
    assert door_from({"name": "d", "url": "https://host/s", "audience": "a"}).kind == "webdav"


def test_programs_are_told_the_doors_that_want_a_token() -> None:
    entries: list[dict[str, Any]] = [
        {"name": "disk", "url": "https://HOST/store/", "audience": "storage"},
        {"name": "cache", "url": "root://cache//store", "audience": "https://cache"},
        {"name": "open", "url": "https://open/store", "audience": None},
        {"name": "odd", "url": "https://odd/store", "audience": "two words"},
    ]
    doors = Doors([door_from(entry) for entry in entries], None)
    assert doors.variable() == "storage=https://host/store https://cache=root://cache//store"
