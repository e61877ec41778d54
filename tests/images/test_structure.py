"""What holds for every image, whatever is in it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed import image_traces as traces
from testbed.images import REPOSITORY, Inside, build_image, inside
from tools.images.catalogue import DEFAULT
from tools.images.places import Places

if TYPE_CHECKING:
    from collections.abc import Iterator

USERS = {
    "hub": (1000, 1000),
    "lab": (1000, 100),
    "xcache": (10940, 10940),
    "dask-gateway": (1000, 1000),
    "lab-root": (1000, 100),
    "lab-gpu": (1000, 100),
}

LARGE = [
    name
    for name, asked in (("lab-root", "AF_LAB_ROOT"), ("lab-gpu", "AF_LAB_GPU"))
    if os.environ.get(asked)
]

TRIED = [*DEFAULT, *LARGE]

WITH_PYTHON = [name for name in TRIED if name != "xcache"]


@pytest.fixture(scope="module", params=TRIED)
def box(request: pytest.FixtureRequest) -> Iterator[Inside]:
    with inside(build_image(request.param)) as container:
        yield container


@pytest.fixture(scope="module", params=WITH_PYTHON)
def python_box(request: pytest.FixtureRequest) -> Iterator[Inside]:
    with inside(build_image(request.param)) as container:
        yield container


def test_user_is_a_fixed_number_and_not_root_when_started(box: Inside) -> None:
    user, group = USERS[box.record.name]
    # Kubernetes' runAsNonRoot can judge a number only
    assert box.configuration["User"] == f"{user}:{group}"
    assert box.run("id", "-u") == str(user)
    assert box.run("id", "-g") == str(group)
    # and no more groups, nor rights, than that
    status = dict(line.split(":\t") for line in box.run("cat", "/proc/self/status").splitlines())
    assert status["CapEff"].strip("0") == ""
    assert box.run("id", "-G") == str(group)


def test_first_process_is_an_init_when_started(box: Inside) -> None:
    assert box.configuration["Entrypoint"][:2] == ["tini", "--"]
    assert box.run("cat", "/proc/1/comm") == "tini"


def test_no_program_raises_its_rights_when_all_files_are_seen(box: Inside) -> None:
    assert traces.raising(box.root) == []


def test_nobody_writes_others_files_when_all_are_seen(box: Inside) -> None:
    assert traces.open_to_all(box.root) == []


def test_user_writes_nothing_but_what_is_theirs_when_all_files_are_seen(box: Inside) -> None:
    user, group = USERS[box.record.name]
    theirs = {
        f"/{path.relative_to(box.root)}"
        for path in box.root.rglob("*")
        if not path.is_symlink() and user == path.lstat().st_uid
    }
    homes = ("/home/", "/srv/", "/var/cache/", "/run/")
    assert {name for name in theirs if not f"{name}/".startswith(homes)} == set()
    assert group != 0


def test_nothing_of_the_build_stays_when_it_is_done(box: Inside) -> None:
    assert traces.left_over(box.root) == []
    assert traces.private_keys(box.root) == []


def test_nothing_of_the_building_machine_stays_when_it_is_done(box: Inside) -> None:
    words = traces.machine_words(REPOSITORY, Places.default().home, Path.home() / ".cache")
    words += traces.own_authorities(box.root)
    assert traces.mentions(box.root, words) == []


def test_every_trace_is_found_when_it_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other tests are worth nothing if these would see nothing."""
    for name in ("root/.cache/pip/x", "var/lib/apt/lists/y", "opt/key", "opt/machine", "bin/su"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    body = "A" * 64
    (tmp_path / "opt/key").write_text(f"-----BEGIN PRIVATE KEY-----\n{body}\n")
    (tmp_path / "opt/machine").write_text("built in /somewhere/checkout")
    (tmp_path / "bin/su").chmod(0o4755)
    (tmp_path / "opt/open").write_text("x")
    (tmp_path / "opt/open").chmod(0o666)
    bundle = tmp_path / "opt/bundle"
    bundle.write_text(f"-----BEGIN CERTIFICATE-----\n{body}\n{'B' * 64}\n-----END CERTIFICATE-----")
    monkeypatch.setenv("AF_CA_BUNDLE", str(bundle))
    assert traces.left_over(tmp_path) == ["/root/.cache/pip/x", "/var/lib/apt/lists/y"]
    assert traces.private_keys(tmp_path) == ["/opt/key"]
    assert traces.raising(tmp_path) == ["/bin/su"]
    assert traces.open_to_all(tmp_path) == ["/opt/open"]
    assert traces.mentions(tmp_path, [b"/somewhere/checkout"]) == ["/opt/machine"]
    assert traces.mentions(tmp_path, traces.own_authorities(tmp_path)) == ["/opt/bundle"]


def test_history_and_environment_hold_nothing_secret_when_read(box: Inside) -> None:
    described = json.loads(box.engine.ask("inspect", "--type", "image", box.record.reference))
    told = json.dumps([described["OCIv1"].get("history"), box.configuration.get("Env")])
    assert not re.search(r"eyJ[A-Za-z0-9_-]{8,}|(?i:password|secret[^s,.]|_token)=", told)
    for word in traces.machine_words(REPOSITORY, Places.default().home):
        assert word.decode() not in told


def test_packages_are_those_of_the_lock_when_installed(python_box: Inside) -> None:
    lock = REPOSITORY / "images" / python_box.record.name / "requirements.txt"
    locked = dict(re.findall(r"^([a-z0-9.-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE))
    listed = python_box.run("pip", "list", "--format", "json", "--disable-pip-version-check")
    installed = {
        each["name"].lower().replace("_", "-"): each["version"] for each in json.loads(listed)
    }
    assert installed.pop("analysis-facility")
    assert {
        name: locked.get(name.replace(".", "-"), locked.get(name)) for name in installed
    } == installed
    python_box.run("pip", "check")


def test_python_starts_compiled_when_nobody_can_write_it(python_box: Inside) -> None:
    # a Lab that compiles JupyterLab at each start takes seconds longer
    places = [
        path for path in (python_box.root / "opt/af/lib").rglob("*.py") if "/test" not in str(path)
    ]
    missing = [
        path
        for path in places
        if not list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))
    ]
    assert len(missing) < len(places) / 50, missing[:10]
