"""From the facility file to values of the chart, with nothing typed twice and no secret."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from af_hub.cli import main
from af_hub.errors import ConfigError
from af_hub.facility.load import parse
from af_hub.kube_values import AUTHORITIES, FILE, HUB_FILE, XCACHE, Site
from af_hub.kube_values.images import split
from af_hub.xcache import production_places
from af_hub.xcache import render as xcache_render
from testbed.values import (
    BASE,
    CONTENTS,
    TEXT,
    authorities,
    cache_values,
    facility,
    made,
    schema,
    values,
    write_site,
)

CANARY = "planted-secret-5f1c"
SITE = Site.read(public_url="https://hub.example.org", subdomains=True, networks=("10.20.0.0/16",))


def without_file(read: dict[str, Any]) -> dict[str, Any]:
    """Leave the facility file itself out of the values."""
    del read["hub"]["extraFiles"]["facility.yaml"]
    return read


def test_values_fit_our_schema_when_everything_is_used() -> None:
    checker = jsonschema.Draft7Validator(schema())
    assert not list(checker.iter_errors(values(site=SITE)))
    by_variable = TEXT.replace(
        "client_secret_file: secrets/client-secret", "client_secret_env: IAM"
    )
    assert not list(checker.iter_errors(values(by_variable)))


def test_hub_reads_the_very_file_when_it_is_embedded() -> None:
    file = values()["hub"]["extraFiles"]["facility.yaml"]
    assert file == {"mountPath": str(HUB_FILE), "stringData": TEXT}
    assert parse(file["stringData"], Path(file["mountPath"])) == facility()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_hub_reads_the_very_file_when_comments_are_odd(comment: str) -> None:
    line = "".join(c for c in comment if c.isprintable())
    text = f"{TEXT}# {line}  \n\n   # end"
    assert values(text)["hub"]["extraFiles"]["facility.yaml"]["stringData"] == text


@pytest.mark.parametrize(
    ("once", "other"),
    [
        ("https://cache.example.org", "https://other.example.org"),
        ("rucio-of-cms", "rucio-of-atlas"),
        ("/cms/af-admins", "/atlas/af-admins"),
        ("hub-of-the-facility", "another-hub"),
        ("https://iam.example.org:8444/", "https://iam.example.org:8444/realm/"),
    ],
)
def test_nothing_else_says_it_when_the_facility_file_does(once: str, other: str) -> None:
    changed = TEXT.replace(once, other)
    assert changed != TEXT
    assert values(changed)["hub"]["extraFiles"]["facility.yaml"]["stringData"] == changed
    assert without_file(values(changed)) == without_file(values())
    assert once not in BASE.read_text()
    assert once not in yaml.safe_dump(without_file(values()))


def test_each_part_follows_when_a_door_moves() -> None:
    moved = TEXT.replace("dav.example.org:8443", "dav.example.org:9443")
    before, after = (yaml.safe_dump(without_file(values(text))) for text in (TEXT, moved))
    assert "port: 8443" in before
    assert before.count("port: 9443") == 0
    # the chart's own proxy listens at 8443, too
    assert (after.count("port: 9443"), after.count("port: 8443")) == (1, before.count("8443") - 1)


def test_nothing_secret_is_written_when_secrets_lie_beside_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_site(tmp_path)
    for name in ("secrets/client-secret", "secrets/crypt-key", "pki/hashed/server.key"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(CANARY)
    monkeypatch.setenv("IAM_CLIENT_SECRET", CANARY)
    monkeypatch.setenv("PGPASSWORD", CANARY)
    for secret in (
        "client_secret_file: secrets/client-secret",
        "client_secret_env: IAM_CLIENT_SECRET",
    ):
        file.write_text(TEXT.replace("client_secret_file: secrets/client-secret", secret))
        out = tmp_path / "out"
        assert main(["values", "--for", "jupyterhub", str(file), "--output", str(out)]) == 0
        printed = capsys.readouterr()
        written = "".join(path.read_text() for path in out.iterdir())
        assert CANARY not in printed.out + printed.err + written
        assert {path.name for path in out.iterdir()} == {FILE, AUTHORITIES, XCACHE}


def test_same_files_come_when_the_command_prints_or_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_site(tmp_path)
    arguments = ["values", "--for", "jupyterhub", str(file), "--site-network", "10.20.0.0/16"]
    arguments += ["--public-url", "https://hub.example.org", "--subdomains"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    expected = made(site=SITE)
    assert all(text in printed for text in expected.values())
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == expected


def test_secret_comes_by_reference_when_it_is_a_variable() -> None:
    text = TEXT.replace(
        "client_secret_file: secrets/client-secret", "client_secret_env: IAM_SECRET"
    )
    reference = {"name": "analysis-facility", "key": "client-secret"}
    assert values(text)["hub"]["extraEnv"] == {
        "IAM_SECRET": {"valueFrom": {"secretKeyRef": reference}}
    }
    assert "extraEnv" not in values()["hub"]


def test_picture_is_whole_when_it_is_no_text() -> None:
    file = values()["hub"]["extraFiles"]["pictures-logo.png"]
    assert file["mountPath"] == "/etc/analysis-facility/pictures/logo.png"
    assert base64.b64decode(file["binaryData"]) == CONTENTS["pictures/logo.png"]


def test_labs_trust_what_the_hub_trusts_when_a_config_map_is_named() -> None:
    made_of = authorities()
    assert made_of["metadata"] == {"name": "authorities"}
    assert made_of["data"] == {
        "ca-bundle.pem": CONTENTS["pki/bundle.pem"].decode(),
        "5ab23cd9.0": CONTENTS["pki/hashed/5ab23cd9.0"].decode(),
    }
    bundle = values()["hub"]["extraFiles"]["pki-bundle.pem"]
    assert bundle["mountPath"] == str(facility().identity.ca_file)
    assert AUTHORITIES not in made(TEXT.replace("  ca_config_map: authorities\n", ""))


def test_cache_gets_its_configuration_when_it_is_a_service() -> None:
    read = cache_values()
    assert read["ports"] == {"root": 1094, "https": None}
    assert read["resources"]["limits"] == {"memory": "5120Mi"}
    expected = xcache_render(facility(), production_places(facility())).files
    assert read["files"] == expected
    moved = TEXT.replace("root://xcache:1094//store", "root://xcache:2094//store")
    assert cache_values(moved)["ports"]["root"] == 2094
    outside = TEXT.replace("root://xcache:1094//store", "root://xcache.example.org:1094//store")
    assert XCACHE not in made(outside)


def test_every_service_gets_a_token_when_the_facility_file_names_it() -> None:
    gateway = {"url": "http://dask-gateway:8000", "display": False}
    assert values()["hub"]["services"] == {"dask-gateway": gateway, "transfers": {}}


def test_images_are_pulled_early_when_profiles_name_others() -> None:
    assert values()["singleuser"]["image"] == {
        "name": "registry.example.org:5000/af/lab",
        "tag": "3",
    }
    others = {"profile-1": {"name": "registry.example.org:5000/af/lab-gpu", "tag": "7"}}
    assert values()["prePuller"]["extraImages"] == others


def test_addresses_are_known_when_the_public_one_is_given() -> None:
    assert "config" not in values()["hub"]
    hub = values(site=SITE)["hub"]
    assert hub["config"] == {
        "JupyterHub": {
            "public_url": "https://hub.example.org/",
            "subdomain_host": "https://hub.example.org",
        },
        "IAMAuthenticator": {"oauth_callback_url": "https://hub.example.org/hub/oauth_callback"},
    }
    below = Site.read(public_url="https://example.org:8443/af", subdomains=False)
    hub = values(site=below)["hub"]
    assert hub["baseUrl"] == "/af/"
    assert hub["config"]["JupyterHub"] == {"public_url": "https://example.org:8443/af/"}
    callback = hub["config"]["IAMAuthenticator"]["oauth_callback_url"]
    assert callback == "https://example.org:8443/af/hub/oauth_callback"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("xcache:1094", "127.0.0.1:1094", "kube-loopback"),
        ("https://dav.example.org:8443/store", "https://[::1]/store", "kube-loopback"),
        ("secrets/client-secret", "client-secret", "kube-secret"),
        ("secrets/client-secret", "/run/secrets/iam", "kube-secret"),
        ("pki/bundle.pem", "../bundle.pem", "kube-path"),
        ("pki/bundle.pem", "secrets/bundle.pem", "kube-path"),
        ("pki/bundle.pem", '"pki/{username}.pem"', "kube-path"),
        ("pki/hashed", ".", "kube-path"),
        ("pki/hashed", "secrets", "kube-path"),
        ("af/lab:3", "af/lab", "kube-image"),
    ],
)
def test_file_is_refused_when_it_cannot_work_in_a_pod(old: str, new: str, code: str) -> None:
    text = TEXT.replace(old, new)
    assert text != TEXT
    with pytest.raises(ConfigError) as refused:
        made(text)
    assert refused.value.code == code


def test_section_is_asked_for_when_it_is_missing() -> None:
    with pytest.raises(ConfigError, match="lab_image") as refused:
        made(TEXT[: TEXT.index("kubernetes:")])
    assert refused.value.code == "no-kubernetes"


def test_files_are_refused_when_they_hold_a_key_or_too_much() -> None:
    key = b"-----BEGIN EC PRIVATE KEY-----\n"
    for name in ("pki/bundle.pem", "pki/hashed/5ab23cd9.0"):
        with pytest.raises(ConfigError) as refused:
            made(contents={**CONTENTS, name: key})
        assert refused.value.code == "kube-private-key"
    for name, size in (("pictures/logo.png", 256 * 1024), ("pki/hashed/5ab23cd9.0", 768 * 1024)):
        with pytest.raises(ConfigError) as refused:
            made(contents={**CONTENTS, name: b"x" * size})
        assert refused.value.code == "kube-size"


@pytest.mark.parametrize(
    "url",
    [
        "http://hub.example.org",
        "hub.example.org",
        "https://",
        "https://user@hub.example.org",
        "https://hub.example.org:0",
        "https://hub.example.org:99999",
        "https://hub.example.org/?a=b",
        "https://hub.example.org/a b",
        "https://hub.example.org/../x{y}",
        "https://[::1]/",
    ],
)
def test_public_address_is_refused_when_no_browser_could_come_by_it(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Site.read(public_url=url, subdomains=False)
    assert refused.value.code == "kube-public-url"


BRING = TEXT.replace(
    "{name: small, title: Small}",
    "{name: small, title: Small, image: {own: {patterns: ['ghcr\\.io/cms/[a-z]+:[0-9]+']}}}",
)


@pytest.mark.parametrize(
    ("text", "said", "on"),
    [(BRING, [], True), (BRING, ["--no-subdomains"], False), (TEXT, [], False)],
)
def test_each_user_has_a_host_name_when_users_bring_images(
    text: str, said: list[str], on: bool, tmp_path: Path
) -> None:
    file = write_site(tmp_path)
    file.write_text(text)
    out = tmp_path / "out"
    arguments = ["values", "--for", "jupyterhub", str(file), "--output", str(out), *said]
    assert main([*arguments, "--public-url", "https://hub.example.org"]) == 0
    written = (out / FILE).read_text()
    hub = yaml.safe_load(written)["hub"]["config"]["JupyterHub"]
    assert hub.get("subdomain_host") == ("https://hub.example.org" if on else None)
    assert ("certificate for\n# *.hub.example.org beside" in written) is on


def test_address_is_asked_for_when_users_bring_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_site(tmp_path)
    file.write_text(BRING)
    arguments = ["values", "--for", "jupyterhub", str(file)]
    assert main(arguments) != 0
    assert "give --public-url, or --no-subdomains" in capsys.readouterr().err
    assert main([*arguments, "--no-subdomains"]) == 0


def test_subdomains_are_refused_when_the_hub_has_no_address() -> None:
    with pytest.raises(ConfigError) as refused:
        Site.read(public_url=None, subdomains=True)
    assert refused.value.code == "kube-public-url"


@pytest.mark.parametrize(
    "network",
    ["0.0.0.0/0", "169.254.0.0/16", "168.0.0.0/7", "127.0.0.0/8", "10.1.2.3/16", "x", "::/0"],
)
def test_network_is_refused_when_it_is_no_site(network: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Site.read(public_url=None, subdomains=False, networks=(network,))
    assert refused.value.code == "kube-network"


_names = st.from_regex(re.compile(r"[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}", re.ASCII), fullmatch=True)
_hosts = st.sampled_from(["", "registry.example.org/", "localhost/", "registry.example.org:5000/"])
_tags = st.from_regex(re.compile(r":[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", re.ASCII), fullmatch=True)
_digests = st.from_regex(re.compile(r"@sha256:[0-9a-f]{64}", re.ASCII), fullmatch=True)


@given(_hosts, _names, _tags | _digests)
def test_reference_comes_back_when_the_chart_joins_it(host: str, name: str, end: str) -> None:
    parts = split(f"{host}{name}{end}")
    assert ":".join((parts["name"], parts["tag"])) == f"{host}{name}{end}"
