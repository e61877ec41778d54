"""Policy grants what the profile offers to the groups, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_hub.errors import Refusal
from af_hub.spawner.policy.catalogue import visible
from af_hub.spawner.policy.decision import decide
from af_hub.spawner.policy.options import (
    Options,
    options_from_fields,
    options_from_query,
    read_options,
)
from af_hub.spawner.policy.reasons import Reason
from af_hub.spawner.policy.site import Running, Site, Usage
from testbed.profiles import CATALOGUE, GIB, NOBODY, SITE

if TYPE_CHECKING:
    from af_hub.spawner.policy.plan import Plan


def ask(groups: set[str], raw: object, usage: Usage = NOBODY, site: Site = SITE) -> Plan:
    return decide(visible(CATALOGUE, groups), usage, site, read_options(raw))


def reason(groups: set[str], raw: object, usage: Usage = NOBODY, site: Site = SITE) -> str:
    with pytest.raises(Refusal) as caught:
        ask(groups, raw, usage, site)
    assert caught.value.message.endswith(".")
    return caught.value.reason


def test_defaults_are_granted_when_nothing_is_asked_for() -> None:
    plan = ask(set(), None)
    assert (plan.profile, plan.cpu, plan.ram, plan.gpu) == ("small", 1, 2 * GIB, 0)
    assert ask(set(), {}) == plan


def test_choices_are_granted_when_they_are_offered() -> None:
    plan = ask(set(), {"profile": "large", "cpu": 2, "ram": "8G"})
    assert (plan.cpu, plan.ram) == (2, 8 * GIB)
    assert plan.environment == (("TEMPLATE", "{unescaped_username.__class__}"),)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"profile": "gpu"}, Reason.UNKNOWN_PROFILE),
        ({"profile": "none"}, Reason.UNKNOWN_PROFILE),
        ({"profile": "large", "cpu": 3}, Reason.NOT_OFFERED),
        ({"profile": "large", "cpu": 64}, Reason.TOO_LARGE),
        ({"profile": "large", "ram": "16G"}, Reason.NOT_OFFERED),
        ({"profile": "small", "gpu": 1}, Reason.NOT_OFFERED),
        ({"profile": ["small"]}, Reason.INVALID_OPTIONS),
        ({"profile": "small\n"}, Reason.INVALID_OPTIONS),
        ({"profile": ""}, Reason.INVALID_OPTIONS),
        ({"cpu": True}, Reason.INVALID_OPTIONS),
        ({"cpu": 1.0}, Reason.INVALID_OPTIONS),
        ({"cpu": "1"}, Reason.INVALID_OPTIONS),
        ({"ram": -1}, Reason.INVALID_OPTIONS),
        ({"ram": "2G\n"}, Reason.INVALID_OPTIONS),
        ({"mem_limit": "64G"}, Reason.INVALID_OPTIONS),
        ({"kubespawner_override": {}}, Reason.INVALID_OPTIONS),
        (["profile"], Reason.INVALID_OPTIONS),
        ("small", Reason.INVALID_OPTIONS),
    ],
)
def test_request_is_refused_when_it_is_not_offered(raw: object, expected: str) -> None:
    assert reason(set(), raw) == expected


def test_hidden_profile_is_answered_like_one_that_does_not_exist_when_asked_for() -> None:
    with pytest.raises(Refusal) as hidden:
        ask({"/cms"}, {"profile": "gpu"})
    with pytest.raises(Refusal) as absent:
        ask({"/cms"}, {"profile": "gpx"})
    assert hidden.value.message.replace("gpu", "gpx") == absent.value.message


def test_devices_are_counted_per_product_when_asked_for() -> None:
    members = {"/cms/uscms"}
    assert ask(members, {"profile": "gpu", "gpu": 1}).gpu_product == "A100"
    assert reason(members, {"profile": "gpu", "gpu": 2}) == Reason.GPU_BUSY
    assert reason(members, {"profile": "gpu", "gpu": 1}, site=Site()) == Reason.GPU_MISSING
    assert ask(members, {"profile": "gpu", "gpu": 0}, site=Site()).gpu_product is None


def test_denied_group_wins_when_another_group_is_allowed() -> None:
    assert reason({"/cms/uscms", "/cms/banned/x"}, {"profile": "gpu"}) == Reason.UNKNOWN_PROFILE


def test_limits_are_kept_when_servers_run() -> None:
    raw = {"profile": "large"}

    def usage(**servers: str) -> Usage:
        running = (Running(f"{user}/", user, profile=name) for user, name in servers.items())
        return Usage(tuple(running), "me")

    assert reason(set(), raw, usage(me="large")) == Reason.USER_LIMIT
    assert reason(set(), raw, usage(a="large", b="large", c="large")) == Reason.TOTAL_LIMIT
    assert ask(set(), raw, usage(me="small", a="large", b="large")).profile == "large"


def test_nothing_starts_when_no_profile_is_open() -> None:
    with pytest.raises(Refusal) as caught:
        decide((), NOBODY, SITE, Options())
    assert caught.value.reason == Reason.NO_PROFILE
    assert caught.value.status == 403
    with pytest.raises(Refusal):
        decide(visible(CATALOGUE[3:], {"/cms"}), NOBODY, SITE, Options(profile="admin"))


NAMES = st.sampled_from(["small", "large", "gpu", "admin", "none", "small\n", "", "../gpu"])
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 80),
    st.sampled_from([2 * GIB, 4 * GIB, 8 * GIB, 64 * GIB]),
    st.floats(),
    NAMES,
    st.sampled_from(["2G", "4G", "8G", "999T", "1", "64"]),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
KEYS = st.one_of(st.sampled_from(["profile", "cpu", "ram", "gpu"]), st.text(max_size=12))
RAW = st.one_of(
    st.fixed_dictionaries(
        {}, optional={"profile": NAMES, "cpu": VALUES, "ram": VALUES, "gpu": VALUES}
    ),
    st.dictionaries(KEYS, VALUES, max_size=6),
    VALUES,
)
GROUPS = st.sets(
    st.sampled_from(
        ["/cms", "/cms/uscms", "/cms/uscms/x", "/cms/uscmsx", "/cms/banned/a", "/atlas"]
    )
)


def check_within(groups: set[str], plan: Plan) -> None:
    """Compare a plan with the catalogue, by other words than the policy's."""
    profile = next(item for item in CATALOGUE if item.name == plan.profile)
    if profile.name == "gpu":
        assert "/cms/uscms" in groups
        assert not any(group.startswith("/cms/banned/") for group in groups)
    assert profile.name != "admin"
    assert plan.cpu in [each.value for each in profile.cpu.choices]
    assert plan.cpu <= 16
    assert plan.ram in [each.value for each in profile.ram.choices]
    assert plan.gpu <= (1 if profile.name == "gpu" else 0)


@given(GROUPS, RAW)
def test_no_option_shape_yields_more_than_the_groups_allow(groups: set[str], raw: Any) -> None:
    try:
        plan = ask(groups, raw)
    except Refusal as refusal:
        Reason(refusal.reason)
    else:
        check_within(groups, plan)


@pytest.mark.parametrize("key", ["profile", "cpu", "ram", "gpu", "image", "options", "unknown"])
def test_value_is_refused_when_it_is_nested_a_thousand_times(key: str) -> None:
    """JSON brings it in a body of some kilobytes; to quote it would be an error 500."""
    lists: Any = []
    objects: Any = {}
    for _ in range(10_000):
        lists, objects = [lists], {"a": objects}
    for value in (lists, objects):
        with pytest.raises(Refusal) as caught:
            read_options({key: value})
        assert caught.value.reason == Reason.INVALID_OPTIONS


FIELDS = st.dictionaries(
    st.one_of(
        st.sampled_from(
            ["profile", "small.cpu", "large.cpu", "large.ram", "gpu.gpu", "cpu", "gpu"]
        ),
        st.text(max_size=12),
    ),
    st.lists(
        st.one_of(
            NAMES, st.sampled_from(["1", "2", "64", "2G", "8589934592"]), st.text(max_size=9)
        ),
        max_size=2,
    ),
    max_size=6,
)


@given(GROUPS, FIELDS, st.booleans())
def test_no_form_or_query_yields_more_than_the_groups_allow(
    groups: set[str], fields: dict[str, list[str]], by_form: bool
) -> None:
    read = options_from_fields if by_form else options_from_query
    try:
        plan = ask(groups, read(fields))
    except Refusal as refusal:
        Reason(refusal.reason)
    else:
        check_within(groups, plan)


def test_fields_of_the_chosen_card_count_when_the_form_is_sent() -> None:
    fields = {
        "profile": ["large"],
        "large.cpu": ["2"],
        "large.ram": ["8589934592"],
        "gpu.gpu": ["2"],
    }
    assert options_from_fields(fields) == {"profile": "large", "cpu": 2, "ram": 8 * GIB}


def test_query_is_read_when_it_names_a_profile() -> None:
    assert options_from_query({"profile": ["large"], "cpu": ["2"], "ram": ["8G"]}) == {
        "profile": "large",
        "cpu": 2,
        "ram": 8 * GIB,
    }


def test_order_and_default_are_the_files_when_profiles_are_listed() -> None:
    assert [item.name for item in visible(CATALOGUE, {"/cms/uscms"})] == ["small", "large", "gpu"]
