"""The XCache's image, as far as it can be checked without building it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from af_hub.facility.load import parse
from af_hub.xcache import production_places
from testbed.require import require
from testbed.xcache_pod import FACILITY, REPOSITORY, copied_by_the_image

IMAGE = REPOSITORY / "images" / "xcache"
SCRIPTS = ("entrypoint", "renew-proxy", "require-versions")


def containerfile() -> str:
    """Return the Containerfile with continued lines joined and without comments."""
    text = (IMAGE / "Containerfile").read_text().replace("\\\n", " ")
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one of the image's scripts with nothing but these variables."""
    return subprocess.run(
        [IMAGE / script, *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_file_is_there_when_the_image_copies_it() -> None:
    sources = copied_by_the_image()
    assert {f"images/xcache/{name}" for name in SCRIPTS} <= set(sources)
    missing = [source for source in sources if not (REPOSITORY / source).is_file()]
    assert missing == []


def test_exporter_needs_no_other_module_when_the_image_copies_it() -> None:
    copied = {source for source in copied_by_the_image() if source.endswith(".py")}
    for source in copied:
        text = (REPOSITORY / source).read_text()
        # what is under TYPE_CHECKING is not imported
        ours = re.findall(r"^from (af_hub\.[\w.]+) import", text, re.MULTILINE)
        assert {f"{module.replace('.', '/')}.py" for module in ours} <= copied


def test_image_runs_as_a_numbered_user_when_started() -> None:
    lines = containerfile().splitlines()
    instructions = [line.split(maxsplit=1) for line in lines if line.strip()]
    users = [words[1] for words in instructions if words[0] == "USER"]
    # Kubernetes' runAsNonRoot can judge a number only
    assert users == ["10940:10940"]
    entrypoint = '["tini", "--", "entrypoint"]'
    assert instructions[-2:] == [["ENTRYPOINT", entrypoint], ["CMD", '["xcache"]']]
    assert "require-versions" in [words[1] for words in instructions if words[0] == "RUN"]
    # nothing from elsewhere: packages by the distribution's own client only
    assert not re.search(r"curl|wget|git clone|pip install|^ADD ", containerfile(), re.MULTILINE)


def test_environment_of_the_image_is_the_renderers_when_xrootd_starts() -> None:
    (line,) = (line for line in containerfile().splitlines() if line.startswith("ENV "))
    image = dict(pair.split("=", 1) for pair in line.removeprefix("ENV ").split())
    expected = production_places(parse(FACILITY, Path("/f"))).environment()
    assert {name: image.get(name) for name in expected} == dict(expected)


def test_writable_folders_are_made_when_the_image_is_built() -> None:
    places = production_places(parse(FACILITY, Path("/f")))
    for folder in (places.data, places.meta, places.root, places.key_cache, places.proxy.parent):
        assert f" {folder}" in containerfile(), folder
    entry = (IMAGE / "entrypoint").read_text()
    assert str(places.admin.parent) in entry
    assert (places.certificate.name, places.key.name) == ("tls.crt", "tls.key")


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_script_is_right_when_a_shell_parses_it(script: str, shell: str) -> None:
    subprocess.run([shell, "-n", IMAGE / script], check=True, timeout=10)
    assert os.access(IMAGE / script, os.X_OK)
    text = (IMAGE / script).read_text()
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in text


@pytest.mark.parametrize(
    ("xrootd", "scitokens", "problem"),
    [
        ("6.2.0-2", "1.4.1-3", None),
        ("7.0.0-1", "2.0-1", None),
        ("5.5.3-1", "0.7.3-1+b1", "xrootd-server is 5.5.3-1, but at least 6.2 is needed"),
        ("5.9.2-1", "1.4.1-3", "xrootd-server is 5.9.2-1"),
        ("6.0.0-1", "1.4.1-3", "xrootd-server is 6.0.0-1"),
        ("6.2.0-2", "1.3.0-1", "libscitokens0t64 is 1.3.0-1, but at least 1.4 is needed"),
        ("6.2.0-2", "", "libscitokens0t64 is not installed"),
    ],
)
def test_build_fails_when_versions_are_faulty(
    tmp_path: Path, xrootd: str, scitokens: str, problem: str | None
) -> None:
    require("dpkg", shutil.which("dpkg"), "dpkg compares the versions")
    query = tmp_path / "dpkg-query"
    found = f'case "$3" in lib*) v="{scitokens}" ;; *) v="{xrootd}" ;; esac'
    query.write_text(f'#!/bin/sh\n{found}\n[ -n "$v" ] || exit 1\necho "$v"\n')
    query.chmod(0o755)
    done = run("require-versions", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode == 0) == (problem is None), done
    assert problem is None or problem in done.stderr


@pytest.mark.parametrize(
    ("missing", "problem"),
    [
        ("config/scitokens.cfg", "scitokens.cfg is missing or not readable"),
        ("tls/tls.key", "tls.key is missing or not readable"),
        ("proxy/proxy.pem", "there is no proxy certificate"),
    ],
)
def test_cache_says_what_to_mount_when_something_is_missing(
    tmp_path: Path, missing: str, problem: str
) -> None:
    files = ("config/xrootd.cf", "config/scitokens.cfg", "tls/tls.crt", "tls/tls.key")
    for name in {*files, "keys/x", "run/x", "proxy/proxy.pem"} - {missing}:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    places = {"XCACHE_CONFIG": "config", "XCACHE_TLS": "tls", "XCACHE_RUN": "run"}
    done = run(
        "entrypoint",
        **{name: str(tmp_path / folder) for name, folder in places.items()},
        X509_USER_PROXY=str(tmp_path / "proxy/proxy.pem"),
        XDG_CACHE_HOME=str(tmp_path / "keys"),
        XCACHE_PATIENCE="0",
    )
    assert done.returncode == 1
    assert problem in done.stderr


def test_log_holds_no_token_when_xrootd_writes_addresses(tmp_path: Path) -> None:
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLXRva2Vu"
    for name in ("config/xrootd.cf", "config/scitokens.cfg", "tls/tls.crt", "tls/tls.key"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("run", "keys", "bin"):
        (tmp_path / name).mkdir()
    proxy = tmp_path / "proxy.pem"
    proxy.write_text("proxy")
    said = (
        f"no space left: root://h//f?authz=Bearer%20{token}&x=1",
        f"Authorization: Bearer {token}",
        f"authorization=Bearer+{token[:40]}",
        "authz=opaque-secret-value next",
        "login as xcachesvc",
    )
    xrootd = tmp_path / "bin" / "xrootd"
    lines = "\n".join(f"echo '{line}' >&2" for line in said)
    xrootd.write_text(f'#!/bin/sh\n{lines}\necho "$BEARER_TOKEN$BEARER_TOKEN_FILE here"\n')
    xrootd.chmod(0o755)
    done = run(
        "entrypoint",
        PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        XCACHE_CONFIG=str(tmp_path / "config"),
        XCACHE_TLS=str(tmp_path / "tls"),
        XCACHE_RUN=str(tmp_path / "run"),
        XDG_CACHE_HOME=str(tmp_path / "keys"),
        X509_USER_PROXY=str(proxy),
        BEARER_TOKEN=token,
        BEARER_TOKEN_FILE="/home/somebody/token",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "no space left: root://h//f?authz=Bearer%20(hidden)&x=1",
        "Authorization: Bearer (hidden)",
        "authorization=Bearer+(hidden)",
        "authz=(hidden) next",
        "login as xcachesvc",
        # whoever started it does not lend its own token to the cache
        " here",
    ]


def test_entrypoint_refuses_when_a_role_is_unknown() -> None:
    done = run("entrypoint", "shell")
    assert done.returncode == 1
    assert "not one of xcache, exporter, proxy" in done.stderr


def test_old_proxy_stays_when_a_new_one_cannot_be_made(tmp_path: Path) -> None:
    require("xrootd", shutil.which("xrdgsiproxy"), "xrdgsiproxy makes the proxy")
    proxy = tmp_path / "proxy.pem"
    proxy.write_text("the old one")
    (tmp_path / "tls.crt").write_text("not a certificate")
    (tmp_path / "tls.key").write_text("not a key")
    done = run(
        "renew-proxy",
        "once",
        XCACHE_SERVICE=str(tmp_path),
        X509_USER_PROXY=str(proxy),
        X509_CERT_DIR=str(tmp_path),
        HOME=str(tmp_path),
    )
    assert done.returncode != 0
    assert proxy.read_text() == "the old one"
    # the copy of the key is gone whatever happened
    assert not (tmp_path / "proxy.pem.key").exists()
