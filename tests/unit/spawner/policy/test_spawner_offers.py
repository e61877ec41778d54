"""What the groups leave of a profile, and what images, options and limits make of a request."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_hub.errors import Refusal
from af_hub.facility.limits import Limit
from af_hub.facility.profiles import Profile
from af_hub.spawner.policy.catalogue import visible
from af_hub.spawner.policy.decision import decide, hindrance
from af_hub.spawner.policy.options import options_from_fields, options_from_query, read_options
from af_hub.spawner.policy.reasons import Reason
from af_hub.spawner.policy.site import GpuModel, Running, Site, Usage

GIB = 1024**3
ANYWHERE = Site(gpus=None)


def profile(**said: Any) -> Profile:
    return Profile.model_validate({"name": "one", "title": "One", **said})


def limit(**said: Any) -> Limit:
    return Limit.model_validate(said)


def reason(
    made: Profile,
    raw: object = None,
    *limits: Limit,
    groups: set[str] | None = None,
    usage: Usage | None = None,
    site: Site = ANYWHERE,
) -> str:
    """Ask; return the reason of the refusal, or an empty text."""
    offered = visible([made], groups or set(), limits)
    try:
        decide(offered, usage or Usage(user="me"), site, read_options(raw))
    except Refusal as refusal:
        return str(refusal.reason)
    return ""


def test_every_step_of_a_range_is_granted_and_nothing_between_or_beyond() -> None:
    made = profile(cpu={"min": 2, "max": 8, "step": 2}, ram={"min": "1G", "max": "4G"})
    assert [n for n in range(12) if not reason(made, {"cpu": n})] == [2, 4, 6, 8]
    assert [n for n in range(7) if not reason(made, {"ram": n * GIB})] == [1, 2, 3, 4]
    assert reason(made, {"ram": GIB + 1}) == Reason.NOT_OFFERED
    with pytest.raises(Refusal, match="2 cores to 8 cores in steps of 2 cores"):
        decide(visible([made], ()), Usage(), ANYWHERE, read_options({"cpu": 3}))


@pytest.mark.parametrize("what", ["cpu", "ram", "gpu", "image"])
def test_profile_is_not_offered_when_no_choice_of_something_necessary_is_left(what: str) -> None:
    closed: dict[str, Any] = {
        "cpu": {"choices": [{"value": 1, "allowed_groups": ["/cms"]}]},
        "ram": {"choices": [{"value": "1G", "allowed_groups": ["/cms"]}]},
        "gpu": {"counts": [{"value": 1, "allowed_groups": ["/cms"]}]},
        "image": {
            "choices": [{"name": "root", "title": "R", "image": "r", "allowed_groups": ["/cms"]}]
        },
    }
    made = profile(**{what: closed[what]})
    assert reason(made, groups={"/atlas"}) == Reason.NO_PROFILE
    assert reason(made, groups={"/cms"}) == ""


def test_first_of_what_is_left_is_the_default_when_the_default_is_for_others() -> None:
    made = profile(cpu={"choices": [1, {"value": 8, "allowed_groups": ["/cms"]}], "default": 8})
    plans = [
        decide(visible([made], groups), Usage(), ANYWHERE, read_options(None))
        for groups in ((), ("/cms",))
    ]
    assert [plan.cpu for plan in plans] == [1, 8]


def test_denied_group_wins_over_an_allowed_one_at_every_choice() -> None:
    value = {"value": 8, "allowed_groups": ["/cms/**"], "denied_groups": ["/cms/students"]}
    made = profile(cpu={"choices": [1, value]})
    assert reason(made, {"cpu": 8}, groups={"/cms/staff"}) == ""
    both = {"/cms/staff", "/cms/students"}
    assert reason(made, {"cpu": 8}, groups=both) == Reason.NOT_OFFERED


OWN: dict[str, Any] = {
    "choices": [{"name": "base", "title": "Base", "image": "lab@sha256:" + "0" * 64}],
    "own": {"patterns": [r"ghcr\.io/cms/[a-z]+|quay\.io/x"], "allowed_groups": ["/cms"]},
}


@pytest.mark.parametrize(
    ("image", "fits"),
    [
        ("ghcr.io/cms/ana", True),
        ("quay.io/x", True),
        ("base", True),
        ("ghcr.io/cms/ana:1", False),
        ("xghcr.io/cms/ana", False),
        ("quay.io/xy", False),
        ("ghcr.io/cms/ana/quay.io/x", False),
        ("ghcrxio/cms/ana", False),
        ("Base", False),
        ("ghcr.io/cms/../x", False),
    ],
)
def test_own_image_is_granted_when_all_of_it_matches(image: str, fits: bool) -> None:
    expected = "" if fits else Reason.IMAGE_NOT_ALLOWED
    assert reason(profile(image=OWN), {"image": image}, groups={"/cms"}) == expected
    for_others = "" if image == "base" else Reason.IMAGE_NOT_ALLOWED
    assert reason(profile(image=OWN), {"image": image}, groups={"/atlas"}) == for_others


def test_own_image_must_have_the_form_of_a_reference_when_the_pattern_allows_anything() -> None:
    made = profile(image={"own": {"patterns": [".*"]}})
    for image in ("a b", "-rm", "a//b", "{x}", "$(HOME)", "A/B", "https://evil/x", "a@sha256:1"):
        assert reason(made, {"image": image}) == Reason.IMAGE_NOT_ALLOWED
    assert reason(made, {"image": "evil.example.org:5000/a/b:1"}) == ""
    # nothing said: the facility's image
    assert decide(visible([made], ()), Usage(), ANYWHERE, read_options({})).image is None


def test_hub_is_not_held_up_when_a_pattern_is_slow_and_the_text_is_chosen_for_it() -> None:
    made = profile(image={"own": {"patterns": ["(a+)+b"]}})
    begin = time.perf_counter()
    assert reason(made, {"image": "a" * 500 + "c"}) == Reason.IMAGE_NOT_ALLOWED
    assert time.perf_counter() - begin < 1


QUESTIONS: list[dict[str, Any]] = [
    {
        "name": "release",
        "title": "Release",
        "choices": [
            {"name": "old", "title": "Old", "environment": {"R": "old", "S": "1"}},
            {"name": "new", "title": "New", "image": "lab:new", "environment": {"R": "new"}},
        ],
    },
    {
        "name": "queue",
        "title": "Queue",
        "allowed_groups": ["/cms"],
        "choices": [{"name": "fast", "title": "Fast", "node_selector": {"queue": "fast"}}],
    },
]


def test_choices_add_to_the_profile_and_win_where_both_say_something() -> None:
    made = profile(options=QUESTIONS, environment={"R": "none", "T": "2"}, image="lab:1")
    offered = visible([made], ["/cms"])
    plain = decide(offered, Usage(), ANYWHERE, read_options({}))
    assert dict(plain.environment) == {"R": "old", "S": "1", "T": "2"}
    assert plain.image == "lab:1"
    assert plain.options == (("release", "old"), ("queue", "fast"))
    assert plain.node_selector == (("queue", "fast"),)
    chosen = read_options({"options": {"release": "new"}})
    assert decide(offered, Usage(), ANYWHERE, chosen).image == "lab:new"
    # who is not asked gets nothing of it, and is told nothing of it
    stranger = visible([made], ["/atlas"])
    assert decide(stranger, Usage(), ANYWHERE, read_options({})).node_selector == ()
    for name in ("queue", "gone"):
        with pytest.raises(Refusal) as caught:
            decide(stranger, Usage(), ANYWHERE, read_options({"options": {name: "fast"}}))
        assert caught.value.message.replace(name, "") == (
            "“One” does not offer the option ''; it offers: release."
        )


def test_form_and_query_say_the_same_as_rest() -> None:
    raw = {"profile": "one", "cpu": 2, "image": "a/b:1", "options": {"release": "new"}}
    fields = {"profile": ["one"], "one.cpu": ["2"], "one.image": ["a/b:1"], "two.image": ["x"]}
    assert options_from_fields(fields | {"one.options.release": ["new"], "one.ram": ["1G"]}) == {
        **raw,
        "ram": GIB,
    }
    query = {"profile": ["one"], "cpu": ["2"], "image": ["a/b:1"], "options.release": ["new"]}
    assert options_from_query(query) == raw
    assert options_from_query({f"opt-{key}": value for key, value in query.items()}) == raw
    assert options_from_fields({"profile": ["one"], "one.image": [""]}) == {"profile": "one"}


def test_volumes_are_left_out_when_they_are_for_others() -> None:
    shared = {"kind": "shared", "claim": "c", "path": "/d", "allowed_groups": ["/cms"]}
    made = profile(volumes=[{"kind": "cvmfs"}, shared])
    counts = [
        len(decide(visible([made], groups), Usage(), ANYWHERE, read_options(None)).volumes)
        for groups in (["/cms"], ["/atlas"])
    ]
    assert counts == [2, 1]


def running(user: str, *groups: str, name: str = "one", **held: Any) -> Running:
    return Running(f"{user}/", user, groups, name, **held)


def test_limit_per_user_counts_all_profiles_when_servers_run() -> None:
    mine = Usage((running("me", name="other", cpu=6), running("you", cpu=99)), "me")
    made = profile(cpu={"choices": [2, 4]})
    assert reason(made, {"cpu": 2}, limit(per="user", cpu=8), usage=mine) == ""
    assert reason(made, {"cpu": 4}, limit(per="user", cpu=8), usage=mine) == Reason.USER_LIMIT
    assert reason(made, None, limit(per="user", servers=1), usage=mine) == Reason.USER_LIMIT
    only = limit(per="user", groups=["/atlas"], servers=1)
    assert reason(made, None, only, usage=mine, groups={"/cms"}) == ""
    assert reason(made, None, only, usage=mine, groups={"/atlas"}) == Reason.USER_LIMIT


def test_limit_per_group_counts_each_group_by_itself() -> None:
    made = profile(gpu={"counts": [0, 1]})
    usage = Usage((running("a", "/cms", gpu=2), running("b", "/atlas", gpu=1)), "me")
    each = limit(per="group", groups=["/cms", "/atlas"], gpus=2)
    ask = {"gpu": 1}
    assert reason(made, ask, each, usage=usage, groups={"/cms"}) == Reason.GROUP_LIMIT
    assert reason(made, ask, each, usage=usage, groups={"/atlas"}) == ""
    assert reason(made, ask, each, usage=usage, groups={"/cms", "/atlas"}) == Reason.GROUP_LIMIT
    # a server without devices takes nothing of it
    assert reason(made, {"gpu": 0}, each, usage=usage, groups={"/cms"}) == ""
    with pytest.raises(Refusal, match="The quota of /cms is reached"):
        decide(visible([made], ["/cms"], [each]), usage, ANYWHERE, read_options(ask))


def test_limit_in_total_counts_those_whom_it_concerns() -> None:
    total = limit(per="total", groups=["/cms/**"], ram="3G")
    usage = Usage((running("a", "/cms/x", ram=2 * GIB), running("b", "/cms", ram=9 * GIB)), "me")
    made = profile(ram={"choices": ["1G", "2G"]})
    assert reason(made, {"ram": "1G"}, total, usage=usage, groups={"/cms/y"}) == ""
    assert reason(made, {"ram": "2G"}, total, usage=usage, groups={"/cms/y"}) == Reason.TOTAL_LIMIT
    assert reason(made, {"ram": "2G"}, total, usage=usage, groups={"/atlas"}) == ""


def test_groups_for_which_a_server_counts_are_those_that_the_catalogue_names() -> None:
    made = profile(allowed_groups=["/cms"])
    many = {"/cms", "/lhcb/x", *(f"/other/{n}" for n in range(5000))}
    (offer,) = visible([made], many, [limit(per="group", groups=["/lhcb/*"], gpus=1)])
    assert offer.groups == ("/cms", "/lhcb/x")


def test_every_group_counts_for_a_profiles_limit_however_many_a_user_has() -> None:
    made = profile(allowed_groups=["/cms/**"], max_concurrent={"per_group": 1})
    many = {f"/cms/{n}" for n in range(500)}
    (offer,) = visible([made], many)
    assert set(offer.groups) == many
    usage = Usage((Running("a/", "a", offer.groups, "one"),), "me")
    assert reason(made, usage=usage, groups={"/cms/499"}) == Reason.GROUP_LIMIT


def test_profiles_own_limit_counts_the_groups_that_let_in() -> None:
    made = profile(allowed_groups=["/cms", "/atlas"], max_concurrent={"per_group": 1})
    usage = Usage((running("a", "/cms"),), "me")
    assert reason(made, usage=usage, groups={"/cms"}) == Reason.GROUP_LIMIT
    assert reason(made, usage=usage, groups={"/atlas"}) == ""
    other = Usage((running("a", "/cms", name="two"),), "me")
    assert reason(made, usage=other, groups={"/cms"}) == ""


def test_parts_of_devices_are_another_stock_than_whole_ones() -> None:
    site = Site(gpus=(GpuModel("A", 8, 0), GpuModel("A-part", 7, 2, "nvidia.com/mig-1g.5gb")))
    part = profile(gpu={"counts": [1, 3], "resource": "nvidia.com/mig-1g.5gb"})
    assert reason(part, {"gpu": 1}, site=site) == ""
    assert reason(part, {"gpu": 3}, site=site) == Reason.GPU_BUSY
    assert reason(profile(gpu={"counts": [1]}), site=site) == Reason.GPU_BUSY
    other = profile(gpu={"counts": [1], "resource": "amd.com/gpu"})
    assert reason(other, site=site) == Reason.GPU_MISSING


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), max_size=40))
def test_limits_are_never_exceeded_whatever_the_order_of_requests(
    asked: list[tuple[str, int]],
) -> None:
    made = profile(gpu={"counts": [0, 1, 2, 3, 4]})
    limits = (
        limit(per="user", servers=3, gpus=4),
        limit(per="group", groups=["/cms", "/atlas"], gpus=5),
        limit(per="total", gpus=7),
    )
    groups = {"a": ["/cms"], "b": ["/cms", "/atlas"], "c": ["/atlas"]}
    held: list[Running] = []
    for number, (user, gpus) in enumerate(asked):
        offered = visible([made], groups[user], limits)
        usage = Usage(tuple(held), user)
        try:
            plan = decide(offered, usage, ANYWHERE, read_options({"gpu": gpus}))
        except Refusal:
            continue
        assert hindrance(offered[0], usage, ANYWHERE) is None
        held.append(Running(f"{user}/{number}", user, plan.groups, "one", gpu=plan.gpu))
    for user in "abc":
        own = [each.gpu for each in held if each.user == user]
        assert len(own) <= 3
        assert sum(own) <= 4
    for group in ("/cms", "/atlas"):
        assert sum(each.gpu for each in held if group in groups[each.user]) <= 5
    assert sum(each.gpu for each in held) <= 7
