"""The facility file is read strictly, and every problem is told at once."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_hub.errors import ConfigError
from af_hub.facility import FacilityConfig, FacilityFileError, default_facility, load
from af_hub.facility.load import SIZE_LIMIT, parse
from af_hub.facility.warnings import warnings_of

HERE = Path("/facility/facility.yaml")
IDENTITY = """
identity:
  issuer: https://iam.example.org/
  client_id: hub
  client_secret_file: secrets/client
  audiences: {storage: {audience: "https://s", scope: "storage.read:/"}}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(FacilityFileError) as caught:
        parse(text, HERE)
    return [str(problem) for problem in caught.value.problems]


def test_default_file_is_right_when_written_for_any_machine() -> None:
    names = (
        "public",
        "iam_https",
        "storage",
        "gateway_proxy_tcp",
        "xcache",
        "xcache_https",
        "rucio",
    )
    ports = SimpleNamespace(**{name: 8000 + number for number, name in enumerate(names)})
    for cores in (1, 2, 64):
        facility = parse(default_facility(ports, cores=cores), HERE)
        assert [profile.name for profile in facility.profiles] == ["small", "analysis", "gpu"]
        assert facility.profiles[2].allowed_groups == ("/cms/uscms",)
        assert warnings_of(facility) == ()


def test_paths_count_from_the_file_when_they_are_relative() -> None:
    facility = parse(IDENTITY, HERE)
    assert facility.identity.client_secret_file == Path("/facility/secrets/client")


def test_every_problem_is_told_when_there_are_several() -> None:
    found = problems(
        IDENTITY.replace("issuer:", "isuer:")
        + """
profiles:
  - {name: one, title: One, cpus: 3, ram: 4X}
  - {name: gpu, title: GPU, gpu: {count: [1]}}
storage:
  - {name: demo, title: Demo, url: "https://s/store", audience: nope}
"""
    )
    assert found == [
        "line 2: identity: 'issuer' is missing",
        "line 3: identity.isuer: unknown key; did you mean 'issuer'?",
        "line 9: profiles[0].cpus: unknown key; did you mean 'cpu'?",
        "line 9: profiles[0].ram: expected an amount such as 4G, not '4X'",
        "line 10: profiles[1].gpu: 'counts' is missing",
        "line 10: profiles[1].gpu.count: unknown key; did you mean 'counts'?",
    ]


@pytest.mark.parametrize("issuer", ["http://iam.example.org/", "http://10.0.0.1:8080/"])
def test_issuer_is_refused_when_it_is_not_encrypted(issuer: str) -> None:
    found = problems(IDENTITY.replace("https://iam.example.org/", issuer))
    assert found == ["line 3: identity.issuer: the identity provider must be reached by https"]


def test_references_are_checked_when_another_section_is_wrong() -> None:
    found = problems(
        IDENTITY
        + """
abuot: {}
storage:
  - {name: demo, title: Demo, url: "https://s/store", audience: nope}
  - {name: demo, title: Demo, url: "https://s/store", audience: storage}
"""
    )
    assert found == [
        "line 8: abuot: unknown key; did you mean 'about'?",
        "line 10: storage[0].audience: identity.audiences has no 'nope' (known: storage)",
        "line 11: storage[1].name: the name 'demo' stands twice",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("about: {name: A}\nabout: {name: B}", "line 2: the key 'about' stands twice"),
        ("a: &x [1]\nb: *x", "line 2: aliases (*name) are not supported"),
        ("a: {<<: {b: 1}}", "line 1: only plain texts can be keys"),
        ("a: !!set {b}", "line 1: holds a YAML tag that has no meaning here"),
        ("", "line 1: is empty"),
        (
            "a: [1",
            "line 1: while parsing a flow sequence expected ',' or ']', but got '<stream end>'",
        ),
        ("- 1\n- 2", "line 1: Input should be an object"),
        (
            "a: 1\n---\nb: 2",
            "line 2: expected a single document in the stream but found another document",
        ),
    ],
)
def test_yaml_is_refused_when_it_hides_or_breaks_something(text: str, problem: str) -> None:
    assert problems(text) == [problem]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cpu: 0", "profiles[0].cpu"),
        ("cpu: true", "profiles[0].cpu"),
        ("cpu: .nan", "profiles[0].cpu"),
        ("cpu: {choices: [1, 2], default: 3}", "the default is not among the choices"),
        ("cpu: {choices: [1, 1]}", "a choice stands twice"),
        ("ram: 1M", "profiles[0].ram"),
        ("environment: {JUPYTERHUB_API_TOKEN: x}", "is set by the facility itself"),
        ("environment: {BEARER_TOKEN: x}", "is set by the facility itself"),
        ('environment: {A: "\\0"}', "cannot hold a NUL character"),
        ("allowed_groups: [cms]", "is not a group pattern"),
        ("allowed_groups: [/cms*]", "is not a group pattern"),
        ("name: UPPER", "is not of the form"),
        ("max_lifetime: 0", "profiles[0].max_lifetime"),
    ],
)
def test_profile_is_refused_when_a_value_is_wrong(line: str, message: str) -> None:
    name = "" if line.startswith("name") else "name: one, "
    found = problems(f"{IDENTITY}\nprofiles: [{{{name}title: One, {line}}}]")
    assert len(found) >= 1
    assert any(message in problem for problem in found)


def test_two_defaults_are_refused_when_both_are_marked() -> None:
    profiles = "[{name: aa, title: A, default: true}, {name: bb, title: B, default: true}]"
    assert problems(f"{IDENTITY}\nprofiles: {profiles}") == [
        "line 8: profiles[1].default: only one profile can be the default"
    ]


def test_secret_is_asked_for_once_when_two_places_are_named() -> None:
    text = IDENTITY.replace("client_id: hub", "client_id: hub\n  client_secret_env: SECRET")
    assert problems(text) == [
        "line 2: identity: set exactly one of client_secret_file and client_secret_env"
    ]


def test_file_is_refused_when_it_is_missing_large_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.yaml")
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (SIZE_LIMIT + 1))
    with pytest.raises(FacilityFileError, match="larger than 1 MiB"):
        load(large)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"about:\n  name: \xff")
    with pytest.raises(FacilityFileError, match="line 2: is not UTF-8"):
        load(binary)


@given(st.text(max_size=200))
def test_nothing_but_the_own_error_comes_out_when_the_text_is_arbitrary(text: str) -> None:
    with contextlib.suppress(FacilityFileError):
        assert isinstance(parse(text, HERE), FacilityConfig)
