"""KubeSpawner's own ``profile_list`` works unchanged, and no text of a user is formatted."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import kubespawner
import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_hub.errors import Refusal
from af_hub.facility.limits import Limit
from af_hub.spawner.policy import decision
from af_hub.spawner.policy.options import read_options
from af_hub.spawner.policy.reasons import Reason
from af_hub.spawner.policy.site import Running, Site, Usage
from af_hub.spawner.profile_list.reading import Member, listed, translated
from testbed.kube_spawner import spawner, written

if TYPE_CHECKING:
    from collections.abc import Collection

    from af_hub.spawner.policy.plan import Plan

GIB = 1024**3
PLAIN: list[dict[str, Any]] = [
    {
        "display_name": "Demo - <b>profile</b> &amp; more",
        "slug": "demo-1",
        "profile_options": {
            "image": {
                "display_name": "Image",
                "choices": {
                    "base": {
                        "display_name": "Base",
                        "kubespawner_override": {"image": "jupyter/base-notebook:1"},
                    },
                    "minimal": {
                        "display_name": "Minimal",
                        "default": True,
                        "kubespawner_override": {"image": "jupyter/minimal-notebook:1"},
                    },
                },
                "unlisted_choice": {
                    "enabled": True,
                    "display_name": "Other image",
                    "validation_regex": "^jupyter/.+:.+$",
                    "validation_message": "Must be jupyter/<name>:<tag>",
                    "kubespawner_override": {
                        "image": "{value}",
                        "extra_labels": {"chosen": "{value}", "for": "{username}"},
                    },
                },
            },
            "Size": {
                "display_name": "Size",
                "choices": {
                    "s": {
                        "display_name": "S",
                        "kubespawner_override": {"mem_limit": "2G", "cpu_limit": 0.5},
                    },
                    "XL": {
                        "display_name": "XL",
                        "kubespawner_override": {
                            "mem_limit": "16G",
                            "environment": {"SIZE": "XL", "GONE": None},
                            "node_selector": {"pool": "large"},
                        },
                    },
                },
            },
        },
        "kubespawner_override": {
            "default_url": "/tree",
            "environment": {"FROM": "profile", "USER_IS": "{username}"},
            "cpu_guarantee": lambda spawner: 0.25 if spawner.user.name == "alice" else 1,
        },
    },
    {
        "display_name": "With GPU",
        "kubespawner_override": {
            "extra_resource_limits": {"nvidia.com/gpu": "1"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "image": "af/gpu:1",
        },
    },
]
TRAITS = (
    *("image", "cpu_limit", "cpu_guarantee", "mem_limit", "mem_guarantee", "environment"),
    *("extra_labels", "extra_resource_limits", "node_selector", "tolerations", "default_url"),
)
CONFIGURED: dict[str, Any] = {
    "environment": {"GONE": "1", "KEPT": "1"},
    "mem_limit": "1G",
    "node_selector": {"zone": "a"},
    "default_url": "/doc",
}


async def fitted(made: Any, raw: dict[str, Any], groups: Collection[str] = ()) -> Plan:
    """Do what a start does up to the pod."""
    made.user_options = raw
    offered = await made.offers(frozenset(groups))
    options = read_options(made.in_our_form(raw))
    plan = decision.decide(offered, Usage(), await made.look_at_site(), options)
    made.record = made._apply(plan, frozenset(groups))
    await made.load_user_options()
    return plan


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"profile": "demo-1"},
        {"profile": "demo-1", "image": "base"},
        {"profile": "demo-1", "image": "base", "Size": "XL"},
        {"profile": "demo-1", "Size": "XL", "image--unlisted-choice": "jupyter/a:1"},
        {"profile": "demo-1", "image": "base", "image--unlisted-choice": "jupyter/a:1"},
        {"profile": "demo-1", "image": "", "image--unlisted-choice": ""},
        {"profile": "with-gpu"},
    ],
)
@pytest.mark.parametrize("as_function", [False, True])
async def test_traits_are_those_of_kubespawner_when_a_profile_list_is_plain(
    monkeypatch: pytest.MonkeyPatch, raw: dict[str, Any], as_function: bool
) -> None:
    async def later(_: Any) -> list[dict[str, Any]]:
        return deepcopy(PLAIN)

    traits = deepcopy(CONFIGURED) | {"profile_list": later if as_function else deepcopy(PLAIN)}
    upstream = kubespawner.KubeSpawner
    async with spawner(monkeypatch, kind=upstream, **deepcopy(traits)) as theirs:
        theirs.user_options = dict(raw)
        await theirs.load_user_options()
        expected = {name: getattr(theirs, name) for name in TRAITS}
    async with spawner(monkeypatch, **traits) as ours:
        # twice, the first time with something else: a start that failed leaves nothing behind
        await fitted(ours, {"profile": "demo-1", "Size": "XL", "image": "base"})
        await fitted(ours, dict(raw))
        found = {name: getattr(ours, name) for name in TRAITS}
        pod = await written(ours)
    assert found == expected
    (lab,) = pod["spec"]["containers"]
    assert lab["image"] == expected["image"]
    told = {each["name"]: each.get("value") for each in lab["env"]}
    assert ("NVIDIA_VISIBLE_DEVICES" in told) == (raw != {"profile": "with-gpu"})


async def test_override_is_gone_when_the_next_start_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strange: list[dict[str, Any]] = [
        {
            "display_name": "One",
            "kubespawner_override": {"of_nobody": 1, "extra_labels": {"a": "b"}},
        },
        {"display_name": "Two"},
    ]
    async with spawner(monkeypatch, profile_list=strange) as made:
        await fitted(made, {"profile": "one"})
        assert made.of_nobody == 1
        await fitted(made, {"profile": "two"})
        assert not hasattr(made, "of_nobody")
        assert made.extra_labels == {}
    assert strange[0]["kubespawner_override"] == {"of_nobody": 1, "extra_labels": {"a": "b"}}


async def test_plan_counts_what_the_overrides_amount_to(monkeypatch: pytest.MonkeyPatch) -> None:
    traits = deepcopy(CONFIGURED) | {"profile_list": deepcopy(PLAIN)}
    async with spawner(monkeypatch, **traits) as made:
        small = await fitted(made, {"profile": "demo-1"})
        large = await fitted(made, {"profile": "demo-1", "Size": "XL"})
        gpu = await fitted(made, {"profile": "with-gpu"})
    assert (small.cpu, small.ram, small.gpu) == (1, 2 * GIB, 0)
    # no core limit is set anywhere
    assert (large.cpu, large.ram) == (0, 16 * GIB)
    assert (gpu.gpu, gpu.gpu_resource, gpu.ram) == (1, "nvidia.com/gpu", GIB)


@pytest.mark.parametrize("empty", [[], {}, lambda _: [], lambda _: None])
async def test_nothing_starts_when_a_profile_list_is_empty(
    monkeypatch: pytest.MonkeyPatch, empty: Any
) -> None:
    async with spawner(monkeypatch, profile_list=empty) as made:
        for raw in ({}, {"profile": "x"}):
            with pytest.raises(Refusal) as caught:
                await fitted(made, raw)
            assert caught.value.reason == Reason.NO_PROFILE


def gated(**extra: Any) -> list[dict[str, Any]]:
    """Make a list as 2i2c's hubs have it."""
    choices = {
        "open": {"display_name": "Open", "kubespawner_override": {"image": "open"}},
        "closed": {
            "display_name": "Closed",
            "default": True,
            "allowed_groups": ["org:gpu"],
            "kubespawner_override": {"image": "closed"},
        },
    }
    unlisted = {
        "enabled": True,
        "allowed_groups": ["org:own", "/cms/*"],
        "kubespawner_override": {"image": "{value}"},
    }
    option = {"display_name": "Image", "choices": choices, "unlisted_choice": unlisted}
    return [
        {
            "display_name": "Gated",
            "allowed_groups": ["org:gpu", "org:own", "org:all", "/cms/uscms"],
            "profile_options": {"image": option},
            **extra,
        },
        {"display_name": "Nobody", "allowed_groups": []},
    ]


@pytest.mark.parametrize(
    ("groups", "wanted", "image"),
    [
        ({"org:gpu"}, None, "closed"),
        ({"org:all"}, None, "open"),
        ({"org:all"}, "closed", None),
        ({"org:all"}, "own/a:1", None),
        ({"org:own"}, "own/a:1", "own/a:1"),
        ({"/cms/uscms"}, "own/a:1", "own/a:1"),
        ({"ORG:GPU"}, None, None),
        ({"org:gp"}, None, None),
        ({"/org:gpu"}, None, "closed"),
        ({"/cms"}, None, None),
        (set(), None, None),
    ],
)
def test_choices_are_for_their_groups_when_a_profile_list_says_so(
    groups: set[str], wanted: str | None, image: str | None
) -> None:
    raw = {"profile": "gated"} | ({} if wanted is None else {"options": {"image": wanted}})
    try:
        offered = listed(gated(), Member(groups), {})
        plan = decision.decide(offered, Usage(), Site(), read_options(raw))
    except Refusal:
        assert image is None
    else:
        assert (plan.overrides or {})["image"] == image
    # whom nothing is left of an option is not asked, in place of an error later on
    for each in listed(gated(), Member({"org:all"}), {}):
        assert [option.name for option in each.options] == ["image"]
        assert each.options[0].unlisted is None


def test_option_is_not_asked_when_none_of_its_choices_is_left() -> None:
    profile = gated()[0]
    del profile["profile_options"]["image"]["choices"]["open"]
    (offer,) = listed([profile], Member({"org:all"}), {})
    assert offer.options == ()
    assert decision.decide([offer], Usage(), Site(), read_options({})).overrides == {}


@pytest.mark.parametrize(
    "text",
    [
        *("pangeo/../evil:1\n", "evil/jupyter/a:1", "jupyter/a:1\nx", "jupyter/"),
        *("jupyter/{unescaped_username.__class__}:1", "jupyter/{nokey}:1", "jupyter/$(HOME):1"),
    ],
)
def test_own_text_is_refused_when_it_matches_in_part_or_means_something(text: str) -> None:
    offered = listed(PLAIN, Member(()), {})
    raw = {"profile": "demo-1", "image--unlisted-choice": text}
    with pytest.raises(Refusal) as caught:
        decision.decide(offered, Usage(), Site(), read_options(translated(raw)))
    assert caught.value.reason in {Reason.NOT_OFFERED, Reason.INVALID_OPTIONS}


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("jupyter/a:1", True),
        ("jupyter/a:1@evil", False),
        ("xjupyter/a:1", False),
        ("evil/x/jupyter/a:1", False),
    ],
)
def test_all_of_an_own_text_must_match_when_the_pattern_has_no_ends(text: str, fits: bool) -> None:
    """Upstream looks at the beginning only."""
    plain = deepcopy(PLAIN)
    unlisted = plain[0]["profile_options"]["image"]["unlisted_choice"]
    unlisted["validation_regex"] = "jupyter/[a-z]+:[0-9]+"
    options = read_options(translated({"profile": "demo-1", "image--unlisted-choice": text}))
    offered = listed(plain, Member(()), {})
    if fits:
        plan = decision.decide(offered, Usage(), Site(), options)
        assert (plan.overrides or {})["image"] == text
    else:
        with pytest.raises(Refusal, match="Must be jupyter"):
            decision.decide(offered, Usage(), Site(), options)


@given(st.text(min_size=1, max_size=40))
def test_own_text_stands_as_it_is_wherever_an_override_says_value(text: str) -> None:
    plain = deepcopy(PLAIN)
    plain[0]["profile_options"]["image"]["unlisted_choice"].pop("validation_regex")
    raw = {"profile": "demo-1", "image--unlisted-choice": text}
    try:
        plan = decision.decide(
            listed(plain, Member(()), {}), Usage(), Site(), read_options(translated(raw))
        )
    except Refusal:
        return
    overrides = plan.overrides or {}
    if text not in {"base", "minimal"}:
        assert overrides["image"] == text
        # what the administrator wrote still stands for the user's name
        assert overrides["extra_labels"] == {"chosen": text, "for": "{username}"}
        assert not set(text) & set("{}$")


def test_limits_hold_when_profiles_are_from_a_profile_list() -> None:
    limit = Limit.model_validate({"per": "user", "gpus": 1})
    offered = listed(PLAIN, Member((), (), (limit,)), {})
    running = Usage((Running("me/a", "me", gpu=1),), "me")
    with pytest.raises(Refusal) as caught:
        decision.decide(offered, running, Site(gpus=None), read_options({"profile": "with-gpu"}))
    assert caught.value.reason == Reason.USER_LIMIT
    assert decision.hindrance(offered[1], running, Site(gpus=None)) is not None
    assert decision.hindrance(offered[0], running, Site(gpus=None)) is None


def test_titles_are_text_when_they_were_html() -> None:
    (first, _) = listed(PLAIN, Member(()), {})
    assert first.title == "Demo - profile & more"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
        ),
        max_leaves=9,
    )
)
def test_any_request_ends_in_a_plan_or_a_refusal_when_a_profile_list_is_there(raw: Any) -> None:
    offered = listed(PLAIN + gated(), Member({"org:own"}), {})
    try:
        decision.decide(offered, Usage(), Site(gpus=None), read_options(translated(raw)))
    except Refusal as refusal:
        Reason(refusal.reason)
