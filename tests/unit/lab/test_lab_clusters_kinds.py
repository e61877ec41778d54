"""Types of clusters inside the user's server: what is offered, what is refused. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_labextension.clusters.amounts import as_bytes, as_seconds, bytes_text
from af_labextension.clusters.kinds import LOCAL, Kind, Range
from af_labextension.clusters.kinds_from import from_dask, from_hub, from_trait
from af_labextension.clusters.machine import Machine, this_server
from af_labextension.errors import BadRequest

if TYPE_CHECKING:
    from pathlib import Path

GIB = 2**30
SERVER = Machine(cores=4, memory=8 * GIB)
LOCAL_KIND = Kind(
    name="here",
    title="Here",
    cores=Range(1, 1, 64),
    memory=Range(GIB, 2 * GIB, 64 * GIB),
    scale={"mode": "fixed", "workers": 8},
    most=100,
)
SITE = Kind(
    name="site",
    title="Site",
    factory="m:C",
    cores=Range(1, 1, 64),
    scale={"mode": "adaptive", "minimum": 0, "maximum": 10},
    most=100,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(
    options=st.dictionaries(
        st.sampled_from(["worker_cores", "worker_memory", "image", "n"]), ANYTHING
    ),
    scale=ANYTHING
    | st.fixed_dictionaries(
        {"mode": st.sampled_from(["fixed", "adaptive"])},
        optional=dict.fromkeys(("workers", "minimum", "maximum"), ANYTHING),
    ),
)
def test_what_is_not_refused_fits_into_the_server(options: dict[str, Any], scale: Any) -> None:
    refused: BadRequest | None = None
    try:
        plan = LOCAL_KIND.plan(options, scale, SERVER)
    except BadRequest as error:
        refused = error
    if refused is not None:
        assert refused.code in {"bad-option", "unknown-option"}
        assert refused.message.isprintable()
        assert len(refused.message) < 300
        return
    count = plan.scale.get("workers", plan.scale.get("maximum"))
    assert 1 <= plan.wish["worker_cores"] <= 4
    assert 0 <= count * plan.wish["worker_cores"] <= 4
    assert 0 <= count * plan.wish["worker_memory"] <= 8 * GIB
    assert set(plan.scale) in ({"mode", "workers"}, {"mode", "minimum", "maximum"})


def test_a_local_type_is_cut_to_the_server_and_a_site_is_not() -> None:
    local = LOCAL_KIND.fitted(SERVER)
    assert (local.most, local.scale["workers"]) == (4, 4)
    assert local.cores == Range(1, 1, 4)
    assert local.memory == Range(GIB, 2 * GIB, 8 * GIB)
    assert SITE.fitted(SERVER) == SITE
    tiny = LOCAL_KIND.fitted(Machine(1, GIB // 2))
    assert tiny.too_large == "Your server is too small: one worker needs memory of at least 1G."
    wide = {"mode": "fixed", "workers": 100}
    assert SITE.plan({"worker_cores": 64}, wide, SERVER).scale == wide


def test_the_schema_names_no_class() -> None:
    kind = Kind(name="a", title="A", factory="secret:Class", kwargs={"key": "value"})
    text = str(kind.schema())
    assert "secret" not in text
    assert "value" not in text


GOOD: dict[str, Any] = {
    "name": "pool",
    "in_lab": {"factory": "dask_jobqueue:HTCondorCluster", "kwargs": {"memory": "{worker_memory}"}},
    "worker": {"memory": {"default": "2G", "min": "1G", "max": "8G"}},
    "scale": {"default": {"maximum": 5}, "max": 50},
    "lifetime": {"idle": "30m", "max": "2d"},
}


def test_a_type_is_read_from_the_labs_configuration() -> None:
    kind = from_trait(GOOD)
    assert kind.memory == Range(GIB, 2 * GIB, 8 * GIB)
    assert (kind.idle, kind.longest) == (1800.0, 172800.0)
    assert kind.scale == {"mode": "adaptive", "minimum": 0, "maximum": 5}
    assert from_trait({"name": "here"}).factory == LOCAL


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("name", {"name": "Not Good"}),
        ("name", {"name": "a/../b"}),
        ("'facotry'", {"facotry": "x"}),
        ("in_lab.factory", {"in_lab": {"factory": "os.system"}}),
        ("in_lab.factory", {"in_lab": {"factory": "os:system; ls"}}),
        ("'class'", {"in_lab": {"class": "x"}}),
        ("worker.memory", {"worker": {"memory": {"default": "x", "min": 1, "max": 2}}}),
        ("worker.cores", {"worker": {"cores": {"default": 3, "min": 1, "max": 2}}}),
        ("worker.cores", {"worker": {"cores": {"default": 3}}}),
        ("scale.max", {"scale": {"max": 0}}),
        ("scale.default", {"scale": {"default": 9, "max": 2}}),
        ("lifetime", {"lifetime": {"idle": "soon"}}),
        ("the type", None),
    ],
)
def test_a_type_is_refused_with_its_field_named(field: str, change: Any) -> None:
    with pytest.raises(ValueError, match=field):
        from_trait(change if change is None else {**GOOD, **change})


def test_a_type_is_read_from_the_users_dask_configuration() -> None:
    kind = from_dask(
        {
            "factory": {
                "module": "dask_kubernetes.operator",
                "class": "KubeCluster",
                "args": ["a"],
                "kwargs": {"n-workers": 3},
            },
            "default": {"workers": None, "adapt": {"minimum": 1, "maximum": 7}},
        }
    )
    assert kind is not None
    assert (kind.name, kind.title) == ("labextension", "KubeCluster")
    assert (kind.factory, kind.args) == ("dask_kubernetes.operator:KubeCluster", ["a"])
    assert kind.kwargs == {"n_workers": 3}
    assert kind.scale == {"mode": "adaptive", "minimum": 1, "maximum": 7}


@pytest.mark.parametrize(
    "configured",
    [
        None,
        {},
        [],
        "x",
        {"factory": None},
        {"factory": {"module": None, "class": None}},
        {"factory": {"module": "os", "class": "system; ls"}},
        {"factory": "dask"},
    ],
)
def test_no_type_comes_from_a_configuration_that_names_none(configured: Any) -> None:
    assert from_dask(configured) is None


def test_only_types_of_the_server_are_read_from_the_hub() -> None:
    view = {"name": "a", "title": "A", "backend": "in-lab", "options": {}}
    other = {**view, "name": "b", "backend": "local"}
    (kind,) = from_hub({"compute": {"types": [view, other]}})
    assert (kind.name, kind.factory, kind.idle, kind.longest) == ("a", LOCAL, 1800.0, 86400.0)
    assert from_hub({}) == from_hub({"compute": None}) == []


@pytest.mark.parametrize(
    ("files", "variables", "expected"),
    [
        ({}, {}, None),
        ({"cpu.max": "150000 100000\n", "memory.max": "1073741824\n"}, {}, Machine(1, GIB)),
        ({"cpu.max": "max 100000\n", "memory.max": "max\n"}, {}, None),
        (
            {
                "cpu/cpu.cfs_quota_us": "100000",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": str(GIB),
            },
            {},
            Machine(1, GIB),
        ),
        ({}, {"CPU_LIMIT": "1.0", "MEM_LIMIT": str(GIB)}, Machine(1, GIB)),
        (
            {"memory.max": str(GIB)},
            {"MEM_LIMIT": str(2 * GIB), "CPU_LIMIT": "0.5"},
            Machine(1, GIB),
        ),
        ({"cpu.max": "nonsense"}, {"CPU_LIMIT": "many", "MEM_LIMIT": ""}, None),
    ],
)
def test_the_smallest_limit_counts(
    tmp_path: Path, files: dict[str, str], variables: dict[str, str], expected: Machine | None
) -> None:
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    assert this_server(variables, tmp_path) == (expected or this_server({}, tmp_path / "none"))


@pytest.mark.parametrize("wrong", ["", "1G; reboot", "1G\n", " 1G", "-1", -1, True, None, [], "1X"])
def test_no_amount_is_read_from_anything_else(wrong: Any) -> None:
    for read in (as_bytes, as_seconds):
        with pytest.raises(ValueError, match="amount"):
            read(wrong)


@given(amount=st.integers(min_value=1, max_value=2**62))
def test_bytes_are_written_as_they_are_read(amount: int) -> None:
    if len(text := bytes_text(amount)) <= 18:
        assert as_bytes(text) == amount
