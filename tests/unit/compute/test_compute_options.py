"""Requests for clusters against the facility's types."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from af_hub.compute.form import lab_type_json, options_schema, type_json
from af_hub.compute.options import (
    default_scale,
    gateway_types,
    open_types,
    resolve,
    resolve_scale,
)
from af_hub.compute.types import ClusterType, ComputeConfig
from af_hub.errors import Refusal

GIB = 1024**3

LOCAL = ClusterType.model_validate(
    {
        "name": "local",
        "title": "Local",
        "backend": "local",
        "worker": {
            "cores": {"default": 1, "min": 1, "max": 4},
            "memory": {"default": "1G", "min": "512M", "max": "4G"},
        },
        "scale": {"default": 2, "max": 8},
    }
)
CMS = LOCAL.model_copy(update={"name": "cms", "allowed_groups": ("/cms", "/cms/**")})
LAB = ClusterType.model_validate(
    {
        "name": "mine",
        "title": "Mine",
        "backend": "in-lab",
        "in_lab": {"factory": "site.dask:Cluster", "kwargs": {"queue": "short"}},
    }
)
RICH = ClusterType.model_validate(
    {
        **LOCAL.model_dump(mode="json"),
        "name": "rich",
        "site": "Machine room",
        "images": {
            "default": "old",
            "choices": [
                {"name": "new", "title": "Newest", "environment": "/secret/new"},
                {"name": "old"},
            ],
        },
        "worker": {"gpus": {"default": 1, "min": 0, "max": 2}},
        "local": {"gpus": ["0", "1"]},
    }
)
CONFIG = ComputeConfig(types=(LOCAL, CMS))

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner),
    max_leaves=8,
)


def test_the_default_worker_is_given_when_nothing_is_asked() -> None:
    spec = resolve(CONFIG, {"/atlas"}, {})
    assert (spec.type, spec.cores, spec.memory) == ("local", 1, GIB)


@pytest.mark.parametrize("memory", ["2G", "2048M", 2 * GIB])
def test_memory_is_read_when_written_as_people_do(memory: object) -> None:
    assert resolve(CONFIG, (), {"worker_memory": memory}).memory == 2 * GIB


@pytest.mark.parametrize(
    ("asked", "reason", "field"),
    [
        ({"worker_cores": 5}, "bad-option", "worker_cores"),
        ({"worker_cores": 0}, "bad-option", "worker_cores"),
        ({"worker_cores": -1}, "bad-option", "worker_cores"),
        ({"worker_cores": 1.0}, "bad-option", "worker_cores"),
        ({"worker_cores": True}, "bad-option", "worker_cores"),
        ({"worker_cores": "1"}, "bad-option", "worker_cores"),
        ({"worker_cores": 10**30}, "bad-option", "worker_cores"),
        ({"worker_memory": "1P"}, "bad-option", "worker_memory"),
        ({"worker_memory": "8G"}, "bad-option", "worker_memory"),
        ({"worker_memory": "1G; rm -rf /"}, "bad-option", "worker_memory"),
        ({"worker_memory": "9" * 10_000}, "bad-option", "worker_memory"),
        ({"worker_memory": float("nan")}, "bad-option", "worker_memory"),
        ({"worker_memory": None}, "bad-option", "worker_memory"),
        ({"image": "evil:latest"}, "bad-option", "image"),
        ({"image": ["evil"]}, "bad-option", "image"),
        ({"worker_gpus": 1}, "bad-option", "worker_gpus"),
        ({"worker_gpus": "0; reboot"}, "bad-option", "worker_gpus"),
        ({"environment": "/evil"}, "unknown-option", "environment"),
        ({"type": "nosuch"}, "unknown-type", "type"),
        ({"type": ["local"]}, "unknown-type", "type"),
        ({"type": "local\nX: y"}, "unknown-type", "type"),
        ([], "bad-option", "options"),
        (None, "bad-option", "options"),
    ],
)
def test_the_field_is_named_when_a_request_is_refused(
    asked: object, reason: str, field: str
) -> None:
    with pytest.raises(Refusal) as caught:
        resolve(CONFIG, (), asked)
    assert caught.value.reason == reason
    assert field in caught.value.message


def test_a_type_looks_missing_when_it_is_not_open_to_the_user() -> None:
    messages = []
    for name in ("cms", "none"):
        with pytest.raises(Refusal) as caught:
            resolve(CONFIG, {"/atlas", "/cmsx"}, {"type": name})
        messages.append(caught.value.message.replace(name, "X"))
    assert messages[0] == messages[1]
    assert resolve(CONFIG, {"/cms/uscms"}, {"type": "cms"}).type == "cms"


def test_no_type_is_offered_when_no_group_fits() -> None:
    only = ComputeConfig(types=(CMS,))
    assert open_types(only, {"/atlas"}) == ()
    with pytest.raises(Refusal, match="no kind of Dask cluster"):
        resolve(only, {"/atlas"}, {})


@given(asked=ANYTHING)
def test_nothing_but_a_refusal_is_raised_when_anything_is_asked(asked: Any) -> None:
    for question in (lambda: resolve(CONFIG, (), asked), lambda: resolve_scale(LOCAL, asked)):
        message = "accepted"
        try:
            question()
        except Refusal as refusal:
            message = refusal.message
        # the text goes into an HTTP reason line
        assert message.isprintable()
        assert message.isascii()
        assert len(message) < 200


@given(
    cores=st.integers(-5, 10),
    memory=st.integers(0, 8 * GIB),
    workers=st.integers(-3, 20),
)
def test_a_spec_is_within_the_type_when_it_is_accepted(
    cores: int, memory: int, workers: int
) -> None:
    fits = 1 <= cores <= 4 and GIB // 2 <= memory <= 4 * GIB
    try:
        spec = resolve(CONFIG, (), {"worker_cores": cores, "worker_memory": memory})
    except Refusal:
        assert not fits
    else:
        assert fits
        assert (spec.cores, spec.memory) == (cores, memory)
    try:
        scale = resolve_scale(LOCAL, {"mode": "fixed", "workers": workers})
    except Refusal:
        assert not 0 <= workers <= 8
    else:
        assert scale.maximum == scale.minimum == workers


@pytest.mark.parametrize(
    "asked",
    [
        {"mode": "adaptive", "minimum": 3, "maximum": 2},
        {"mode": "adaptive", "minimum": 0, "maximum": 10**9},
        {"mode": "adaptive", "maximum": 2, "workers": 1},
        {"mode": "fixed", "workers": 9},
        {"mode": "fixed"},
        {"mode": "other"},
        {},
    ],
)
def test_a_scale_is_refused_when_it_is_out_of_bounds(asked: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match="scale"):
        resolve_scale(LOCAL, asked)


def test_the_schema_tells_the_bounds_when_the_dialog_is_drawn() -> None:
    properties = options_schema(LOCAL)["properties"]
    assert properties["worker_cores"]["maximum"] == 4
    assert properties["worker_memory"]["minimum"] == GIB // 2
    assert properties["scale"]["default"] == default_scale(LOCAL).as_json()


@pytest.mark.parametrize("asked", ["/secret/new", "new\n", "$(reboot)", "", None, 1, ["new"]])
def test_an_image_is_refused_when_it_is_no_name_of_a_choice(asked: object) -> None:
    with pytest.raises(Refusal, match="image") as caught:
        resolve(ComputeConfig(types=(RICH,)), (), {"image": asked})
    assert "secret" not in caught.value.message


def test_image_and_gpus_are_taken_when_the_type_offers_them() -> None:
    config = ComputeConfig(types=(RICH,))
    assert resolve(config, (), {}).as_json()["image"] == "old"
    spec = resolve(config, (), {"image": "new", "worker_gpus": 2})
    assert (spec.image, spec.gpus) == ("new", 2)


def test_the_browser_sees_no_path_and_no_class_when_the_dialog_is_drawn() -> None:
    shown = type_json(RICH)
    assert shown["site"] == "Machine room"
    image = shown["options"]["properties"]["image"]
    assert (image["enum"], image["x-titles"]) == (["new", "old"], ["Newest", "old"])
    assert shown["options"]["properties"]["worker_gpus"]["maximum"] == 2
    assert "secret" not in str(shown)
    assert "worker_gpus" not in options_schema(LOCAL)["properties"]
    assert "site.dask" not in str(type_json(LAB))
    assert "in_lab" not in lab_type_json(RICH)
    assert lab_type_json(LAB)["in_lab"] == {
        "factory": "site.dask:Cluster",
        "kwargs": {"queue": "short"},
    }


def test_the_gateway_does_not_know_a_type_when_it_is_the_labs() -> None:
    config = ComputeConfig(types=(LAB, LOCAL))
    assert [one.name for one in open_types(config, ())] == ["mine", "local"]
    assert [one.name for one in gateway_types(config, ())] == ["local"]
    assert resolve(config, (), {}).type == "local"
    with pytest.raises(Refusal, match="type"):
        resolve(config, (), {"type": "mine"})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"in_lab": {}}, "in_lab belongs to the backend in-lab"),
        ({"backend": "in-lab", "local": {}}, "local belongs to the backend local"),
        ({"backend": "in-lab", "token": {"audience": "storage"}}, "token"),
        ({"backend": "in-lab", "images": {"default": "a", "choices": [{"name": "a"}]}}, "images"),
        ({"images": {"default": "b", "choices": [{"name": "a"}]}}, "default"),
        ({"images": {"default": "a", "choices": [{"name": "a"}, {"name": "a"}]}}, "twice"),
        ({"images": {"default": "a", "choices": [{"name": "a", "environment": "x"}]}}, "environ"),
        ({"worker": {"gpus": {"max": 1}}}, "gpus"),
        ({"local": {"gpus": ["0; reboot"]}}, "gpus"),
        ({"kubernetes": {}}, "kubernetes"),
        ({"allowed_groups": ["cms"]}, "allowed_groups"),
    ],
)
def test_the_field_is_named_when_sections_do_not_fit_together(
    change: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValidationError, match=named):
        ClusterType.model_validate({"name": "a", "title": "A", "backend": "local", **change})


@pytest.mark.parametrize(
    "factory", ["os.system", "a:b;c", "a:", ":b", "a b:c", "a:b\n", "../a:b", "1a:b"]
)
def test_a_factory_is_refused_when_it_is_no_class(factory: str) -> None:
    lab = {"name": "a", "title": "A", "backend": "in-lab", "in_lab": {"factory": factory}}
    with pytest.raises(ValidationError, match="factory"):
        ClusterType.model_validate(lab)


@pytest.mark.parametrize(
    "quotas", [{"user": {"cores": -1}}, {"groups": {"cms": {}}}, {"user": {"disk": 1}}]
)
def test_a_quota_is_refused_when_it_makes_no_sense(quotas: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ComputeConfig.model_validate({"quotas": quotas})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("worker", {"cores": {"default": 3, "min": 1, "max": 2}}),
        ("scale", {"default": 5, "max": 4}),
        ("lifetime", {"idle": "soon"}),
        ("name", "Bad Name"),
        ("backend", "cloud"),
        ("extra", 1),
    ],
)
def test_a_type_is_refused_when_it_makes_no_sense(path: str, value: object) -> None:
    with pytest.raises(ValidationError):
        ClusterType.model_validate({**LOCAL.model_dump(), path: value})


def test_types_are_refused_when_two_have_one_name() -> None:
    with pytest.raises(ValidationError, match="local"):
        ComputeConfig(types=(LOCAL, LOCAL))
