"""From a replica's address to one that a Lab opens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from af_labextension.data.doors import Door, door_from
from af_labextension.rucio.rules import (
    OPENABLE,
    CacheRule,
    canonical,
    door_of,
    file_replicas,
    rewritten,
    rules_from,
)

RULES = rules_from(
    [
        {"match": "root://origin.example.org:1094//", "replace": "root://cache.example.org:1094//"},
        {
            "match": "davs://disk.example.org/store",
            "replace": "https://cache.example.org:8443/store",
        },
        {"match": "root://", "replace": "root://cache.example.org//root://"},
    ]
)


def door(name: str, url: str) -> Door:
    """Make a door."""
    return door_from({"name": name, "title": name, "url": url, "audience": "storage"})


@pytest.mark.parametrize(
    ("pfn", "url", "rule"),
    [
        (
            "root://origin.example.org:1094//store/a.root",
            "root://cache.example.org:1094//store/a.root",
            0,
        ),
        # no port is the default port; hosts have no case; xroot is root
        ("xroot://Origin.Example.org//store/A", "root://cache.example.org:1094//store/A", 0),
        (
            "davs://disk.example.org:443/store/a.root",
            "https://cache.example.org:8443/store/a.root",
            1,
        ),
        ("davs://disk.example.org/store", "https://cache.example.org:8443/store", 1),
        # another component that begins alike is another folder
        ("davs://disk.example.org/storex/a", "https://disk.example.org/storex/a", None),
        # another port is another server
        (
            "root://origin.example.org:10940//a",
            "root://cache.example.org//root://origin.example.org:10940//a",
            2,
        ),
        ("davs://other.example.org/store/a", "https://other.example.org/store/a", None),
    ],
)
def test_the_first_rule_that_fits_wins(pfn: str, url: str, rule: int | None) -> None:
    assert rewritten(pfn, RULES) == (url, rule)


names = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF), min_size=1, max_size=80)


@settings(deadline=None)
@given(name=names)
def test_a_name_is_never_touched(name: str) -> None:
    for start, cached in (
        ("root://origin.example.org:1094//", "root://cache.example.org:1094//"),
        ("davs://disk.example.org/store/", "https://cache.example.org:8443/store/"),
    ):
        assert rewritten(start + name, RULES)[0] == cached + name


@settings(deadline=None)
@given(name=names)
def test_a_rules_text_inside_a_name_is_no_reason_to_rewrite(name: str) -> None:
    inner = f"davs://elsewhere.example.org/{name}/root://origin.example.org:1094//x"
    url, rule = rewritten(inner, RULES)
    assert rule is None
    assert url == "https" + inner.removeprefix("davs")


@settings(deadline=None)
@given(pfn=st.text(max_size=60), match=st.text(max_size=20), replace=st.text(max_size=20))
def test_rewriting_is_prefix_for_prefix_or_nothing(pfn: str, match: str, replace: str) -> None:
    rules = [CacheRule(match, replace)]
    url, rule = rewritten(pfn, rules)
    address = canonical(pfn)
    if rule is None:
        assert url == address
    else:
        rest = address.removeprefix(match)
        assert url == replace + rest
        assert match.endswith("/") or rest[:1] in {"", "/"}


@settings(deadline=None)
@given(st.text(max_size=60))
def test_canonical_form_is_stable(url: str) -> None:
    assert canonical(canonical(url)) == canonical(url)


@pytest.mark.parametrize(
    "entries",
    [
        "root://a//",
        {"match": "root://a//"},
        [{"match": "root://a//"}],
        [{"match": "root://a//", "replace": 1}],
        [{"match": "/store/", "replace": "root://a//"}],
        [{"match": "root://a//\n", "replace": "root://a//"}],
        # "b" would be glued to the name
        [{"match": "root://a/", "replace": "root://b"}],
        [{"match": "root://a", "replace": "root://b/"}],
        ["root://a"],
    ],
)
def test_rules_that_cannot_be_meant_are_refused(entries: object) -> None:
    with pytest.raises(ValueError, match="cache rule"):
        rules_from(entries)


def row(*pfns: str, **changes: Any) -> dict[str, Any]:
    """Return a row of Rucio's list of replicas."""
    return {
        "scope": "cms",
        "name": "/store/a.root",
        "bytes": 7,
        "pfns": {pfn: {"rse": f"RSE{number}", "domain": "wan"} for number, pfn in enumerate(pfns)},
        **changes,
    }


def test_the_best_replica_stands_first() -> None:
    doors = [
        door("cache", "root://cache.example.org:1094//store"),
        door("disk", "https://disk2.example.org/store"),
    ]
    found = file_replicas(
        row(
            "davs://far.example.org/store/a.root",
            "root://other.example.org//store/a.root",
            "davs://disk2.example.org/store/a.root",
            "root://origin.example.org:1094//store/a.root",
        ),
        RULES,
        doors,
    )
    assert [(replica.rse, replica.door, replica.rule) for replica in found.replicas] == [
        ("RSE3", "cache", 0),
        ("RSE2", "disk", None),
        ("RSE1", None, 2),
        ("RSE0", None, None),
    ]


def test_equals_keep_the_order_of_rules_then_of_rucio() -> None:
    rules = rules_from(
        [
            {"match": "root://b//", "replace": "root://cache//"},
            {"match": "root://a//", "replace": "root://cache//"},
        ]
    )
    found = file_replicas(row("root://a//x", "davs://y/x", "root://b//x", "davs://x/x"), rules, [])
    assert [replica.rse for replica in found.replicas] == ["RSE2", "RSE0", "RSE1", "RSE3"]


def test_a_rule_that_only_names_the_scheme_is_no_cache() -> None:
    rules = rules_from([{"match": "davs://disk:8443/", "replace": "https://disk:8443/"}])
    (replica,) = file_replicas(row("davs://disk:8443/store/a"), rules, []).replicas
    assert replica.as_json()["via"] == "direct"
    assert replica.url == "https://disk:8443/store/a"


def test_an_address_below_a_door_is_spelt_as_the_door() -> None:
    disk = door("disk", "root://xcache.example.org:1094//store")
    found = file_replicas(row("ROOT://XCache.Example.org//store/a.root"), (), [disk])
    assert found.replicas[0].url == "root://xcache.example.org:1094//store/a.root"
    assert found.replicas[0].door == "disk"


def test_the_deepest_door_counts_and_a_neighbour_does_not() -> None:
    doors = [
        door("all", "https://disk.example.org/store"),
        door("cms", "https://disk.example.org/store/cms"),
    ]
    assert door_of("https://disk.example.org/store/cms/a", doors) == doors[1]
    assert door_of("https://disk.example.org/store/cmsx/a", doors) == doors[0]
    assert door_of("https://disk.example.org/storex/a", doors) is None


@pytest.mark.parametrize(
    "pfn",
    [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "srm://host:8443/srm?SFN=/x",
        "root://host//a\nb",
        "root://[",
        "no address",
        "root://host//" + "x" * 9000,
    ],
)
def test_what_no_lab_can_open_is_left_out(pfn: str) -> None:
    assert file_replicas(row(pfn), RULES[:1], []).replicas == ()


def test_a_rule_may_name_the_scheme_as_the_grid_does() -> None:
    rules = rules_from([{"match": "root://a//", "replace": "davs://b//"}])
    url, _ = rewritten("root://a//x", rules)
    assert url == "https://b//x"
    assert url.partition(":")[0] in OPENABLE


@pytest.mark.parametrize("broken", [{"scope": None}, {"name": 1}, {"pfns": []}, {"pfns": None}])
def test_what_is_no_replica_row_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no replica row"):
        file_replicas(row(**broken), RULES, [])
