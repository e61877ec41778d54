"""The sections about data: doors, cache rules, Rucio and the XCache."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traitlets.config import Config

import af_hub
from af_hub.errors import ConfigError
from af_hub.facility import FacilityConfig, FacilityFileError, default_facility
from af_hub.facility.addresses import DEFAULT_PORTS, parse_address
from af_hub.facility.configure import lab_environment
from af_hub.facility.load import parse
from af_hub.facility.rucio import Rucio
from af_hub.facility.view import HubAddresses, Person, Server, lab_view
from af_hub.facility.warnings import warnings_of

HERE = Path("/facility/facility.yaml")
IDENTITY = """
identity:
  issuer: https://iam.example.org/
  access_token_issuer: https://iam.example.org
  client_id: hub
  client_secret_file: secrets/client
  allowed_groups: [/cms]
  ca_directory: pki/certificates
  audiences:
    storage: {audience: "https://cache.example.org", scope: "storage.read:/store/cms"}
    rucio: {audience: rucio, scope: openid}
profiles: [{name: small, title: Small}]
"""
DOORS = """
storage:
  - {name: demo, title: Demo, url: "https://s.example.org/store", audience: storage}
  - {name: cache, title: Cache, url: "root://cache.example.org:1094//store", audience: storage}
"""
RULES = """
cache:
  rules:
    - {match: "root://origin.example.org:1094//", replace: "root://cache.example.org:1094//"}
    - {match: "davs://s.example.org/", replace: "https://s.example.org/"}
"""
XCACHE = """
xcache: {origin: "root://origin.example.org:1094", doors: [cache]}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(FacilityFileError) as caught:
        parse(text, HERE)
    return [str(problem) for problem in caught.value.problems]


def default() -> FacilityConfig:
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
    return parse(default_facility(ports), HERE)


def view_of(facility: FacilityConfig, user: str) -> dict[str, Any]:
    person = Person(user, user.title(), ("/cms",))
    return lab_view(facility, person, Server("", "small", 1.0, None), HubAddresses("/hub/"))


def test_default_file_names_every_door_when_written() -> None:
    facility = default()
    assert [door.name for door in facility.storage] == ["demo", "cache"]
    assert facility.storage[1].url == "root://127.0.0.1:8004//store"
    assert facility.storage[1].address.is_root
    assert [(rule.match, rule.replace) for rule in facility.cache.rules] == [
        ("root://localhost:1094//", "root://127.0.0.1:8004//")
    ]
    assert facility.xcache is not None
    assert facility.xcache.https == "https://127.0.0.1:8005"
    assert [door.name for door in facility.doors_of_the_cache()] == ["cache"]
    # the first door is what the examples read
    assert lab_environment(facility)["AF_STORAGE_URL"] == "https://127.0.0.1:8002/store"
    assert lab_environment(facility)["AF_DOORS"] == (
        "storage=https://127.0.0.1:8002/store storage=root://127.0.0.1:8004//store"
    )
    assert lab_environment(facility)["X509_CERT_DIR"] == "/facility/pki/certificates"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("root://h:1094/store", "needs two slashes before the path"),
        ("root://user@h//store", "is not of the form root://HOST:PORT/PATH"),
        ("root://h//store?authz=Bearer%20x", "is not of the form"),
        ("root://h:0//store", "0 is not a port"),
        ("root://h:70000//store", "70000 is not a port"),
        ("https://h/a b", "is not of the form"),
        ("https://h/a\\nb", "is not of the form"),
        ("ftp://h/", "begins with https://, http://, root:// or roots://"),
        ("https://h/../x", "has a path with '.' or '..'"),
        ("https://" + "h" * 1001, "longer than 1000"),
    ],
)
def test_door_is_refused_when_its_address_is_wrong(url: str, problem: str) -> None:
    door = f'storage: [{{name: door, title: D, url: "{url}", audience: storage}}]'
    (found,) = problems(IDENTITY + door)
    assert problem in found
    assert "storage[0].url" in found


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (("root://h:1094", "root://c//"), "cache.rules[0].match: needs a slash at the end"),
        (("root://h//", "https://c.example.org"), "cache.rules[0].replace: needs a slash"),
        (("root://h//", "http://c/"), "begins with root://, roots:// or https://"),
        (("s3://h/", "https://c/"), "cache.rules[0].match: is not an address that begins with"),
    ],
)
def test_cache_rule_is_refused_when_it_could_fit_another_server(
    rule: tuple[str, str], problem: str
) -> None:
    match, replace = rule
    text = f'cache: {{rules: [{{match: "{match}", replace: "{replace}"}}]}}'
    (found,) = problems(IDENTITY + text)
    assert problem in found


def test_cache_rule_is_refused_when_an_earlier_one_takes_everything() -> None:
    wide = 'rules:\n    - {match: "root://origin.example.org:1094//", replace: "https://c/"}'
    found = problems(IDENTITY + RULES.replace("rules:", wide))
    assert found == [
        "line 17: cache.rules[1].match: is never reached: cache.rules[0] fits before it"
    ]


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("https://rucio.example.org", True),
        ("https://rucio.example.org/server", True),
        ("http://127.0.0.1:8447", True),
        ("http://localhost:8447", True),
        ("http://rucio.example.org", False),
        ("http://127.0.0.1.example.org", False),
    ],
)
def test_rucio_by_http_is_refused_when_it_is_another_machine(url: str, right: bool) -> None:
    text = f"{IDENTITY}\nrucio: {{url: '{url}', audience: rucio}}"
    if right:
        assert parse(text, HERE).rucio is not None
    else:
        (found,) = problems(text)
        assert "must be https: users' tokens are sent there" in found


@pytest.mark.parametrize(
    ("user", "account"),
    [("alice", "u_alice"), ("bob", "root"), ("dr.who@cern.ch", None), ("a" * 29, None)],
)
def test_account_is_resolved_when_a_user_asks(user: str, account: str | None) -> None:
    rucio = Rucio(url="https://r", audience="rucio", account="u_{user}", accounts={"bob": "root"})
    assert rucio.account_of(user) == account
    facility = default().model_copy(update={"rucio": rucio})
    view = view_of(facility, user)
    # nobody learns other people's accounts
    assert view["rucio"] == {"url": "https://r", "audience": "rucio", "account": account}


@pytest.mark.parametrize("account", ["{user}{user}", "{name}", "A{user}", "x y", "a" * 31])
def test_account_pattern_is_refused_when_it_is_none(account: str) -> None:
    text = f"{IDENTITY}\nrucio: {{url: 'https://r', audience: rucio, account: '{account}'}}"
    (found,) = problems(text)
    assert "rucio.account" in found


def test_lab_is_told_rules_and_catalogue_when_it_asks() -> None:
    view = view_of(default(), "alice")
    assert view["cache"] == {
        "rules": [{"match": "root://localhost:1094//", "replace": "root://127.0.0.1:8004//"}]
    }
    assert view["rucio"] == {
        "url": "http://127.0.0.1:8006",
        "audience": "rucio",
        "account": "alice",
    }
    assert view["storage"] == [door.model_dump() for door in default().storage]
    assert view_of(parse(IDENTITY, HERE), "alice")["rucio"] is None


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("doors: [nope]", "xcache.doors[0]: storage has no door 'nope' (known: cache, demo)"),
        ("doors: [demo]", "xcache.doors[0]: the door 'demo' must be a root:// or roots:// address"),
        (
            "doors: [cache], origin: 'root://cache.example.org'",
            "xcache.origin: is the cache itself",
        ),
        ("doors: [cache], origin: 'root://o//store'", "xcache.origin: is not of the form"),
        ("doors: [cache], origin: 'root://[::1]:1094'", "xcache.origin: is not of the form"),
        ("doors: [cache], https: 'https://c/store'", "xcache.https: is not of the form"),
        ("doors: [cache], groups: {/cms/*: [/store]}", "XRootD knows exact groups only"),
        ("doors: [cache], groups: {'/c ms': [/store]}", "is not a group pattern"),
        ("doors: [cache], groups: {/cms: [store]}", "is not of the form"),
        ("doors: [cache], groups: {/cms: [/a/../b]}", "has '.', '..' or an empty name"),
        ("doors: [cache], groups: {/cms: []}", "at least 1 item"),
        ("doors: [cache], block_size: 100001", "multiple of 4096"),
        ("doors: [cache], ram: 512M", "greater than or equal to 1073741824"),
        ("doors: [cache], water_marks: {low: 0.9, high: 0.8}", "low must be below high"),
        ("doors: [cache], monitoring: {report: 'h'}", "xcache.monitoring.report"),
        ("doors: [cache], xrootd: '5.5.3'", "use 5.9.3, 6.0.1 or later. XRootD 5.5.3 is for"),
        ("doors: [cache], xrootd: '5.8.1'", "an expired token works for up to 60 s"),
        ("doors: [cache], xrootd: '6.0.0'", "an expired token works for up to 60 s"),
        ("doors: [cache], extra_audiences: ['a,b']", "is not of the form"),
    ],
)
def test_xcache_is_refused_when_a_value_is_wrong(section: str, problem: str) -> None:
    origin = "" if "origin" in section else "origin: 'root://o:1094', "
    found = problems(f"{IDENTITY}{DOORS}\nxcache: {{{origin}{section}}}")
    assert len(found) == 1
    assert problem in found[0]


def test_xcache_is_refused_when_its_doors_are_different_servers() -> None:
    other = "  - {name: other, title: O, url: 'root://elsewhere//store', audience: storage}\n"
    text = IDENTITY + DOORS + other + XCACHE.replace("[cache]", "[cache, other]")
    (found,) = problems(text)
    assert "xcache.doors: these doors lead to different servers" in found


def test_xcache_is_refused_when_the_tokens_issuer_is_not_known() -> None:
    text = IDENTITY.replace("  access_token_issuer: https://iam.example.org\n", "")
    (found,) = problems(text + DOORS + XCACHE)
    assert "identity.access_token_issuer: must be set for an xcache" in found


def test_xcache_is_refused_when_an_audience_would_need_quotes() -> None:
    text = IDENTITY.replace('"https://cache.example.org"', '"one, two"')
    (found,) = problems(text + DOORS + XCACHE)
    assert "identity.audiences.storage.audience: holds characters" in found


def test_all_problems_are_told_when_several_data_sections_are_wrong() -> None:
    found = problems(
        IDENTITY
        + DOORS.replace("root://cache.example.org:1094//store", "root://cache.example.org/store")
        + 'cache: {rules: [{match: "root://h", replace: "root://c//"}], rule: 1}\n'
        + "rucio: {url: 'http://rucio.example.org', audience: nope}\n"
        + "xcache: {origin: 'root://o', door: [cache]}\n"
    )
    assert [problem.split(": ")[1] for problem in found] == [
        "storage[1].url",
        "cache.rule",
        "cache.rules[0].match",
        "rucio.url",
        "xcache",
        "xcache.door",
    ]
    assert "did you mean 'doors'?" in found[-1]


def test_audience_of_rucio_is_checked_when_it_does_not_exist() -> None:
    (found,) = problems(IDENTITY + "rucio: {url: 'https://r', audience: nope}")
    assert "rucio.audience: identity.audiences has no 'nope' (known: rucio, storage)" in found


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (DOORS + RULES + XCACHE, None),
        (
            RULES + DOORS.replace("cache.", "other."),
            "cache.rules[0].replace leads to cache.example",
        ),
        (DOORS + XCACHE.replace("doors", "https: 'https://c:8443', doors"), "xcache.https: over"),
        (DOORS + XCACHE.replace("doors", "block_size: 2M, doors"), "xcache.block_size"),
        (
            DOORS
            + XCACHE.replace("doors", "extra_audiences: [https://wlcg.cern.ch/jwt/v1/any], doors"),
            "xcache.extra_audiences: https://wlcg.cern.ch/jwt/v1/any is accepted by scitokens anyway",
        ),
        (DOORS.replace("//store", "//data") + XCACHE, "storage[1].url: the tokens of the audience"),
        (DOORS.replace("//store", "//store/cms/run1") + XCACHE, None),
        (DOORS.replace("//store", "//store/cmsx") + XCACHE, "so this door shows nothing"),
    ],
)
def test_warning_is_given_when_something_is_probably_not_meant(
    text: str, warning: str | None
) -> None:
    found = warnings_of(parse(IDENTITY + text, HERE))
    assert len(found) == (warning is not None)
    assert warning is None or warning in found[0]


@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        ("storage.read:/store/cms", "storage.read", "storage.read without a path opens everything"),
        ("https://cache.example.org", "https://wlcg.cern.ch/jwt/v1/any", "opens every service"),
    ],
)
def test_warning_is_given_when_tokens_are_good_for_too_much(
    old: str, new: str, warning: str
) -> None:
    (found,) = warnings_of(parse(IDENTITY.replace(f'"{old}"', f'"{new}"') + DOORS + XCACHE, HERE))
    assert warning in found


def test_doors_and_their_rules_are_left_out_when_a_cache_does_not_run() -> None:
    facility = parse(IDENTITY + DOORS + RULES + XCACHE, HERE)
    rest = facility.without_doors(["cache"])
    assert [door.name for door in rest.storage] == ["demo"]
    assert [rule.replace for rule in rest.cache.rules] == ["https://s.example.org/"]
    assert rest.xcache is None
    assert facility.without_doors(()) == facility
    with pytest.raises(ConfigError, match="no storage door 'nope'"):
        facility.without_doors(["nope"])


def test_rules_to_the_https_door_are_left_out_when_the_cache_does_not_run() -> None:
    rule = '    - {match: "davs://x/", replace: "https://c:8443/"}\n'
    https = XCACHE.replace("doors", "https: 'https://c:8443', doors")
    rest = parse(IDENTITY + DOORS + RULES + rule + https, HERE).without_doors(["cache"])
    assert [rule.replace for rule in rest.cache.rules] == ["https://s.example.org/"]


def test_labs_are_not_told_of_a_door_when_it_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AF_TEST_CLIENT_SECRET", "planted-client-secret")
    file = tmp_path / "facility.yaml"
    secret = ("client_secret_file: secrets/client", "client_secret_env: AF_TEST_CLIENT_SECRET")
    file.write_text(IDENTITY.replace(*secret) + DOORS + RULES + XCACHE)
    c = Config()
    facility = af_hub.configure(c, file, spawner="af-local", without=["cache"])
    assert [door.name for door in facility.storage] == ["demo"]
    arguments = c.IAMAuthenticator.extra_routes[0][2]
    assert [door["name"] for door in view_of(arguments["facility"], "a")["storage"]] == ["demo"]
    assert c.LocalSpawner.lab_environment["X509_CERT_DIR"] == str(tmp_path / "pki/certificates")


@given(st.text(max_size=60), st.sampled_from(sorted(DEFAULT_PORTS)))
def test_address_is_plain_when_it_is_taken(text: str, scheme: str) -> None:
    try:
        address = parse_address(f"{scheme}://{text}", tuple(DEFAULT_PORTS))
    except ValueError:
        return
    assert address.scheme == scheme
    assert 0 < address.port < 65536
    assert f"{scheme}://{text}".isascii()
    assert not set(text) & set(" \t\r\n\"'?#@\\`{}|<>^") - set("'@")
