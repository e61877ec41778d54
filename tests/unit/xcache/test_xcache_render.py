"""From the facility file to an XCache's configuration, with nothing smuggled in."""

from __future__ import annotations

import dataclasses
import re
import stat
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_hub.cli import main
from af_hub.errors import ConfigError
from af_hub.facility.load import parse
from af_hub.facility.xcache import Monitoring
from af_hub.xcache import Places, production_places, render
from af_hub.xcache.versions import FAULTS, caution, faults_of, generation_of, parse_version

if TYPE_CHECKING:
    from af_hub.facility import FacilityConfig

TEXT = """
identity:
  issuer: https://iam.example.org/
  access_token_issuer: https://iam.example.org
  client_id: hub
  client_secret_file: secrets/client
  allowed_groups: [/cms]
  audiences:
    storage: {audience: "https://cache.example.org", scope: "storage.read:/store/cms"}
    other: {audience: "https://other.example.org", scope: "storage.read:/store/cms"}
profiles: [{name: small, title: Small}]
storage:
  - {name: demo, title: Demo, url: "https://s.example.org/store", audience: other}
  - {name: cache, title: C, url: "root://cache.example.org:2094//store/cms", audience: storage}
  - {name: atlas, title: A, url: "roots://cache.example.org:2094//store/atlas/", audience: storage}
xcache:
  origin: root://origin.example.org:1094
  doors: [cache, atlas]
"""
DIRECTIVES = {
    *("all.adminpath", "all.pidpath", "all.export", "ofs.osslib", "ofs.authorize", "ofs.authlib"),
    *("pss.origin", "pss.cachelib", "oss.localroot", "oss.space", "pfc.spaces", "pfc.blocksize"),
    *("pfc.ram", "pfc.prefetch", "pfc.diskusage", "xrd.port", "xrd.network", "xrd.tls"),
    *("xrd.tlsca", "xrd.protocol", "xrd.report", "xrootd.tls", "xrootd.seclib"),
    *("xrootd.mongstream", "sec.protocol", "sec.protbind", "acc.authdb", "acc.audit"),
    *("http.header2cgi", "http.desthttps"),
}
SETTINGS = {
    *("audience", "onmissing", "issuer", "base_path", "map_subject", "authorization_strategy"),
}


def facility(**changes: object) -> FacilityConfig:
    """Return the facility with other values in its section ``xcache``, unchecked."""
    made = parse(TEXT, Path("/f/facility.yaml"))
    xcache = made.require_xcache().model_copy(update=changes)
    return made.model_copy(update={"xcache": xcache})


def places(made: FacilityConfig, **changes: object) -> Places:
    return dataclasses.replace(production_places(made), **changes)  # type: ignore[arg-type]


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def test_configuration_is_closed_and_read_only_when_nothing_else_is_said() -> None:
    made = facility()
    files = render(made, production_places(made)).files
    assert set(files) == {"xrootd.cf", "scitokens.cfg", "authdb"}
    main_file = words(files["xrootd.cf"])
    # both doors' paths, without their slashes; read-only
    assert [line for line in main_file if line[0] == "all.export"] == [
        ["all.export", "/store/atlas", "r/o"],
        ["all.export", "/store/cms", "r/o"],
    ]
    assert ["pss.origin", "origin.example.org:1094"] in main_file
    assert ["xrd.port", "2094"] in main_file
    assert ["pfc.blocksize", "256k"] in main_file
    assert ["xrootd.tls", "all"] in main_file
    assert [line for line in main_file if line[0].startswith("sec.")] == [
        ["sec.protocol", "ztn"],
        ["sec.protbind", "*", "only", "ztn"],
    ]
    # no second authorisation behind the tokens', no https door, no monitoring
    (authlib,) = (line for line in main_file if line[0] == "ofs.authlib")
    assert authlib[1:] == ["libXrdAccSciTokens.so", "config=/etc/xrootd/scitokens.cfg"]
    assert not {"acc.authdb", "xrd.protocol", "xrd.report"} & {line[0] for line in main_file}
    tokens = dict(re.findall(r"^(\w+) = (.*)$", files["scitokens.cfg"], re.MULTILINE))
    assert tokens == {
        # of the cache's doors only
        "audience": "https://cache.example.org",
        "onmissing": "deny",
        # byte for byte, without the slash of the issuer
        "issuer": "https://iam.example.org",
        "base_path": "/",
        "map_subject": "false",
        "authorization_strategy": "capability",
    }
    assert words(files["authdb"]) == []


def test_no_file_holds_tracing_when_everything_is_on() -> None:
    made = parse(
        TEXT + "  https: https://cache.example.org:8443\n  groups: {/cms: [/store/cms]}\n"
        "  monitoring: {}\n",
        Path("/f"),
    )
    # with trace lines, versions before 5.7.2 log whole tokens
    for text in render(made, production_places(made)).files.values():
        assert "trace" not in text.lower()


def test_groups_are_asked_behind_the_tokens_when_there_are_grants() -> None:
    made = facility(groups={"/cms": ("/store/cms", "/store/open"), "/atlas": ("/store/atlas",)})
    for generation in ("5.5", "6"):
        files = render(made, places(made, generation=generation)).files
        assert "ofs.authlib ++ libXrdAccSciTokens.so" in files["xrootd.cf"]
        assert "acc.authdb /etc/xrootd/authdb\n" in files["xrootd.cf"]
        assert "onmissing = passthrough\n" in files["scitokens.cfg"]
        assert words(files["authdb"]) == [
            ["g", "/atlas", "/store/atlas", "rl"],
            ["g", "/cms", "/store/cms", "rl", "/store/open", "rl"],
        ]
    assert "authorization_strategy = capability group\n" in files["scitokens.cfg"]


@pytest.mark.parametrize(("generation", "strategy"), [("5.5", False), ("6", True)])
def test_form_follows_the_version_when_xrootd_is_old(generation: str, strategy: bool) -> None:
    made = facility()
    files = render(made, places(made, generation=generation)).files
    assert ("authorization_strategy" in files["scitokens.cfg"]) == strategy


def test_https_and_monitoring_are_there_when_asked_for() -> None:
    text = TEXT + "  https: https://cache.example.org:8443\n  monitoring: {every: 1m}\n"
    made = parse(text, Path("/f"))
    main_file = render(made, production_places(made)).files["xrootd.cf"]
    assert "xrd.protocol tls XrdHttp:8443 libXrdHttp.so\n" in main_file
    assert "http.header2cgi Authorization authz\n" in main_file
    assert "xrd.report 127.0.0.1:9931 every 60s all\n" in main_file
    assert "xrootd.mongstream pfc use flush 60s send nohdr 127.0.0.1:9931\n" in main_file


def test_audiences_and_paths_are_added_once_when_they_are_given_by_hand() -> None:
    made = facility(
        extra_audiences=("https://cache.example.org", "https://second.example.org"),
        exports=("/store", "/store/cms", "/data"),
    )
    files = render(made, production_places(made)).files
    assert (
        "audience = https://cache.example.org, https://second.example.org\n"
        in (files["scitokens.cfg"])
    )
    assert re.findall(r"all\.export (\S+)", files["xrootd.cf"]) == ["/data", "/store"]


def test_roots_origin_keeps_its_protocol_when_rendered() -> None:
    made = facility(origin="roots://origin.example.org:1095")
    assert (
        "pss.origin roots://origin.example.org:1095\n"
        in (render(made, production_places(made)).files["xrootd.cf"])
    )


def test_rendering_is_refused_when_there_is_no_xcache() -> None:
    made = parse(TEXT[: TEXT.index("xcache:")], Path("/f"))
    with pytest.raises(ConfigError, match="no section xcache"):
        production_places(made)
    with pytest.raises(ConfigError, match="no section xcache"):
        render(made, production_places(facility()))


@pytest.mark.parametrize(("generation", "count", "right"), [("5.5", 6, False), ("6", 6, True)])
def test_tokens_file_is_refused_when_xrootd_would_cut_a_line(
    generation: str, count: int, right: bool
) -> None:
    """Inih reads 199 bytes (1023 since 5.6.2) and takes the rest for a setting of its own."""
    made = facility(
        extra_audiences=tuple(f"https://{n}.{'a' * 40}.example.org" for n in range(count))
    )
    if right:
        assert render(made, places(made, generation=generation)).files
    else:
        with pytest.raises(ConfigError, match="longer than the 190 characters"):
            render(made, places(made, generation=generation))


@pytest.mark.parametrize(
    "path", ["/a b", "/a\nb", "a", "/a$b", "/a#b", "/a;b", '/a"b', "/ä", "/" + "a" * 251]
)
def test_place_is_refused_when_xrootd_would_read_it_as_something_else(path: str) -> None:
    made = facility()
    with pytest.raises(ConfigError, match="cannot hold the path"):
        places(made, data=PurePosixPath(path))


@pytest.mark.parametrize(
    "changes",
    [
        {"port": 0},
        {"port": 65536},
        {"https_port": -1},
        {"origin": "h"},
        {"origin": "h:x"},
        {"origin": "h:1094 +"},
        {"origin": "a b:1094"},
        {"origin": "h:1094\nofs.trace all"},
    ],
)
def test_place_is_refused_when_it_is_no_address(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="no addresses"):
        places(facility(), **changes)


_HOSTILE = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "x\nofs.trace all",
            "/store\nsec.protbind * none",
            "/store r/w\n",
            "a, https://wlcg.cern.ch/jwt/v1/any",
            "x\n[Issuer evil]\nissuer = https://evil",
            "x ; comment",
            "$(HOME)",
            "/cms /store a",
            "\u2028x",
            "x\rofs.trace all",
            "-",
        ]
    ),
)


@given(
    issuer=_HOSTILE,
    audience=_HOSTILE,
    path=_HOSTILE,
    group=_HOSTILE,
    report=_HOSTILE,
)
def test_nothing_is_smuggled_in_when_values_are_hostile(
    issuer: str, audience: str, path: str, group: str, report: str
) -> None:
    """Even values that no model has checked are refused, or stand as one word."""
    made = facility(
        extra_audiences=(audience,),
        exports=(path,),
        groups={group: (path,)},
        monitoring=Monitoring().model_copy(update={"report": report}),
    )
    identity = made.identity.model_copy(update={"access_token_issuer": issuer})
    made = made.model_copy(update={"identity": identity})
    try:
        files = render(made, production_places(facility())).files
    except ConfigError:
        return
    assert {line[0] for line in words(files["xrootd.cf"])} <= DIRECTIVES
    settings = [line for line in words(files["scitokens.cfg"]) if not line[0].startswith("[")]
    assert {line[0] for line in settings} == SETTINGS
    assert files["scitokens.cfg"].count("[") == 2
    assert [line[0] for line in words(files["authdb"])] == ["g"]
    assert [len(line) for line in words(files["authdb"])] == [4]


@given(st.text(max_size=30))
def test_version_is_a_version_or_refused_when_read(text: str) -> None:
    try:
        version = parse_version(text)
    except ValueError:
        return
    assert len(version) == 3
    assert generation_of(version) in {"5.5", "6"}
    faults_of(version)


@pytest.mark.parametrize(
    ("version", "security"),
    [
        ("v5.5.3", ["path-prefix", "late-expiry", "token-in-trace", "group-union"]),
        ("5.8.1-1", ["late-expiry"]),
        ("5.9.3", []),
        ("6.0.0", ["late-expiry"]),
        ("6.2.0-2", []),
    ],
)
def test_faults_are_named_when_a_version_is_asked_for(version: str, security: list[str]) -> None:
    found = faults_of(parse_version(version))
    assert [fault.code for fault in found if fault.security] == security
    # the demo starts it all the same, and says so
    assert ("for trying only" in caution(parse_version(version))) == bool(security)
    # the leak by https is in all of them, so far
    assert "https-leak" in {fault.code for fault in found}


def test_every_fault_is_documented_when_an_administrator_reads_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "administrator" / "xcache.md").read_text()
    assert {fault.code for fault in FAULTS if f"`{fault.code}`" not in page} == set()


def test_files_are_written_whole_when_a_folder_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "facility.yaml"
    file.write_text(TEXT)
    folder = tmp_path / "out" / "xcache"
    assert main(["values", "--for", "xcache", str(file), "--output", str(folder)]) == 0
    written = sorted(path.name for path in folder.iterdir())
    assert written == ["authdb", "scitokens.cfg", "xrootd.cf"]
    assert capsys.readouterr().out.split() == [
        str(folder / name) for name in ("xrootd.cf", "scitokens.cfg", "authdb")
    ]
    made = facility()
    for name, text in render(made, production_places(made)).files.items():
        assert (folder / name).read_text() == text
        # XRootD runs as a user of its own, and there is no secret in them
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o644


def test_files_are_printed_with_their_names_when_no_folder_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "facility.yaml"
    file.write_text(TEXT + "  block_size: 4M\n")
    assert main(["values", "--for", "xcache", str(file)]) == 0
    printed = capsys.readouterr()
    for name in ("xrootd.cf", "scitokens.cfg", "authdb"):
        assert f"# ==> {name} <==\n" in printed.out
    assert "Note: xcache.block_size" in printed.err
    file.write_text(TEXT[: TEXT.index("xcache:")])
    assert main(["values", "--for", "xcache", str(file)]) == 2
    assert "no section xcache" in capsys.readouterr().err
