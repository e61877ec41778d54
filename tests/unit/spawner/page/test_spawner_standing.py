"""What is used of which quota, for users and for administrators; how often starts were refused."""

from __future__ import annotations

import asyncio
from typing import Any

from af_hub.facility.limits import Limit
from af_hub.facility.profiles import Profile
from af_hub.spawner.page.news import News
from af_hub.spawner.page.overview import MEANINGS, NOBODY, survey
from af_hub.spawner.page.standing import shares
from af_hub.spawner.page.tally import Refused, Tally
from af_hub.spawner.policy.catalogue import visible
from af_hub.spawner.policy.reasons import Reason
from af_hub.spawner.policy.site import GpuModel, Holder, Running, Site, Usage

GIB = 1024**3
PROFILE = Profile.model_validate(
    {"name": "pp", "title": "P", "allowed_groups": ["/cms", "/cms/**"]}
)
LIMITS = [
    Limit.model_validate(entry)
    for entry in (
        {"per": "user", "servers": 2, "gpus": 1},
        {"groups": ["/cms/*"], "per": "group", "gpus": 4},
        {"groups": ["/cms/uscms"], "per": "group", "gpus": 8, "ram": "64G"},
        {"groups": ["/atlas"], "per": "group", "gpus": 1},
        {"per": "total", "servers": 10},
    )
]
RUNNING = (
    Running("me/", "me", ("/cms", "/cms/uscms"), "pp", cpu=2, ram=64 * GIB, gpu=1),
    Running("you/", "you", ("/cms", "/cms/uscms"), "pp", cpu=1, ram=GIB, gpu=2),
    Running("he/", "he", ("/atlas",), "q", cpu=1, ram=GIB),
    Running("she/", "she", (), "q", cpu=1, ram=GIB),
)


def rows(groups: set[str]) -> dict[str, list[tuple[str, str, bool]]]:
    found = shares(visible([PROFILE], groups, LIMITS), Usage(RUNNING, "me"))
    return {
        share.title: [(meter.what, meter.text, meter.full) for meter in share.meters]
        for share in found
    }


def test_quotas_of_user_group_and_everybody_are_told_the_tightest_first() -> None:
    assert rows({"/cms", "/cms/uscms"}) == {
        "You": [("Servers", "1 of 2", False), ("GPUs", "1 of 1", True)],
        "/cms": [("Servers", "2", False), ("GPUs", "3", False)],
        "/cms/uscms": [
            ("Servers", "2", False),
            ("GPUs", "3 of 4", False),
            ("Memory", "65 GiB of 64 GiB", True),
        ],
        "Everybody": [("Servers", "4 of 10", False)],
    }


def test_other_groups_quotas_are_not_told() -> None:
    assert "/atlas" not in rows({"/cms"})
    assert "/cms/uscms" not in rows({"/cms"})
    assert shares((), Usage(RUNNING, "me")) == ()


def test_overview_sums_up_groups_devices_and_refusals() -> None:
    site = Site(gpus=(GpuModel("A100", 4, 1), GpuModel("A100", 7, 7, "nvidia.com/mig-1g.5gb")))
    holders = [
        Holder("A100", "nvidia.com/gpu", "me", 1),
        Holder("A100", "nvidia.com/gpu", "you", 1),
        Holder("A100", "nvidia.com/gpu", "you", 1),
        Holder("", "nvidia.com/gpu", "kube-system", 1),
    ]
    counted = [Refused("gpu-busy", 1, 2, 3), Refused("brand-new", 0, 0, 1)]
    seen = survey(RUNNING, site, holders, LIMITS, counted).to_json()
    assert seen["users"] == 4
    assert [meter["text"] for meter in seen["totals"]] == ["4 of 10", "3", "5", "67 GiB"]
    groups = {each["name"]: each for each in seen["groups"]}
    assert list(groups) == ["/atlas", "/cms", "/cms/uscms", NOBODY]
    assert groups["/cms/uscms"]["users"] == 2
    texts = [meter["text"] for meter in groups["/cms/uscms"]["meters"]]
    assert texts == ["2", "3 of 4", "3", "65 GiB of 64 GiB"]
    models = {each["name"]: each for each in seen["models"]}
    assert models["A100"]["owners"] == [["you", 2], ["me", 1]]
    assert (models["A100 MIG 1g.5gb"]["free"], models["A100 MIG 1g.5gb"]["owners"]) == (7, [])
    assert (models["GPUs"]["total"], models["GPUs"]["owners"]) == (None, [["kube-system", 1]])
    assert [each["meaning"] for each in seen["refusals"]] == [MEANINGS["gpu-busy"], "brand new"]


def test_overview_says_that_nobody_counts() -> None:
    assert not survey((), Site(gpus=None), (), (), ()).counted


def test_every_reason_has_a_meaning() -> None:
    assert set(MEANINGS) == {str(reason) for reason in Reason}


def test_tally_forgets_by_hour_and_day_and_keeps_the_total() -> None:
    now = [1_000_000.0]
    tally = Tally(lambda: now[0])
    for _ in range(3):
        tally.add("gpu-busy")
    now[0] += 2 * 3600
    tally.add("gpu-busy")
    tally.add("user-limit")
    assert tally.counts() == (Refused("gpu-busy", 1, 4, 4), Refused("user-limit", 1, 1, 1))
    now[0] += 23 * 3600
    assert tally.counts() == (Refused("gpu-busy", 0, 1, 4), Refused("user-limit", 0, 1, 1))
    now[0] += 2 * 3600
    assert tally.counts() == (Refused("gpu-busy", 0, 0, 4), Refused("user-limit", 0, 0, 1))


async def test_pages_are_told_of_a_change_by_one_look() -> None:
    looks = 0
    looked = asyncio.Event()
    state: list[Any] = [0]

    async def look() -> object:
        nonlocal looks
        looks += 1
        looked.set()
        return state[0]

    news = News()
    with news.page("alice", look) as first, news.page("alice", look) as second:
        assert first
        assert second
        await looked.wait()
        await asyncio.sleep(0)
        seen = news.version
        waits = [asyncio.create_task(news.change(seen, 10)) for _ in range(50)]
        await asyncio.sleep(0)
        state[0] = 1
        assert all(await asyncio.gather(*waits))
        assert news.version == seen + 1
        assert looks <= 3
        # nobody who comes late misses it
        assert await news.change(seen, 10)
        assert not await news.change(news.version, 0.01)


async def test_pages_of_one_user_are_limited_and_no_page_costs_nothing() -> None:
    looks = 0

    async def look() -> object:
        nonlocal looks
        looks += 1
        return looks

    news = News()
    opened = [news.page("alice", look) for _ in range(20)]
    assert all(page.__enter__() for page in opened)
    with news.page("alice", look) as one_more, news.page("bob", look) as other:
        assert not one_more
        assert other
    for page in opened:
        page.__exit__(None, None, None)
    task = news._task
    assert task is not None
    await task
    assert looks <= 2


async def test_answer_is_composed_once_for_all_who_see_the_same() -> None:
    composed: list[str] = []

    async def compose() -> str:
        composed.append("x")
        return f"answer {len(composed)}"

    news = News()
    assert [await news.answer("a", compose) for _ in range(3)] == ["answer 1"] * 3
    assert await news.answer("b", compose) == "answer 2"
    news._tell()
    assert await news.answer("a", compose) == "answer 3"


async def test_first_page_after_a_while_is_not_told_an_old_answer() -> None:
    composed: list[int] = []

    async def look() -> object:
        return 0

    async def compose() -> str:
        composed.append(0)
        return str(len(composed))

    news = News()
    for expected in ("1", "2"):
        with news.page("alice", look), news.page("bob", look):
            assert [await news.answer("a", compose) for _ in range(2)] == [expected] * 2
            with news.page("carol", look):
                assert await news.answer("a", compose) == expected


async def test_pages_go_on_after_a_look_that_failed() -> None:
    failing = asyncio.Event()

    async def look() -> object:
        if not failing.is_set():
            failing.set()
            raise OSError("the cluster is away")
        return "back"

    news = News()
    with news.page("alice", look):
        assert await news.change(0, 10)
        seen = news.version
        assert await news.change(seen, 10)


async def test_pages_of_a_user_are_told_to_ask_anew_when_the_user_leaves() -> None:
    async def look() -> object:
        return 0

    told: list[str] = []
    news = News()
    with (
        news.page("alice", look, lambda: told.append("one")),
        news.page("bob", look, lambda: told.append("bob's")),
    ):
        with news.page("alice", look, lambda: told.append("two")):
            news.leave("alice")
        news.leave("carol")
        news.leave("alice")
    news.leave("alice")
    assert told == ["one", "two", "one"]
