"""Rucio's environment and configuration: installed whole or not at all, no secret, no registry."""

from __future__ import annotations

import configparser
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from af_hub.embedded.rucio.config import RucioHome
from af_hub.embedded.rucio.environment import REQUIREMENTS, install_rucio, rucio_python
from af_hub.embedded.rucio.part import rucio_people
from af_hub.embedded.rucio.server.af_rucio.settings import Person, Settings, StorageElement
from af_hub.errors import SetupError
from af_hub.facility.rucio import Rucio
from testbed.facility import wait_for

UV = Path(sys.executable).parent / "uv"
INSTALL = "from af_hub.embedded.rucio.environment import install_rucio; install_rucio(print)"


def settings(folder: Path, **changes: object) -> Settings:
    """Return settings as a facility has them."""
    values: dict[str, object] = {
        "port": 18800,
        "database": RucioHome(folder).database_url,
        "issuer": "https://127.0.0.1:9",
        "people": (Person("alice", "1-2", "alice@example.org", admin=True),),
        "storage": (StorageElement("DISK", "davs", "127.0.0.1", 9443, priority=2),),
        "store": folder / "store",
        "filled": folder / "filled",
        "sums": folder / "sums",
    }
    return Settings(**(values | changes))  # type: ignore[arg-type]  # values by name


def test_lock_has_a_hash_for_every_package_and_names_no_registry() -> None:
    text = REQUIREMENTS.read_text()
    packages = re.findall(
        r"^[a-z0-9._-]+==.*(?:\n    --hash=sha256:[0-9a-f]{64}.*)+$", text, re.MULTILINE
    )
    assert len(packages) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 50
    assert "http" not in text.replace("aiohttp", "")
    assert "index" not in text


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a cache folder with nothing in it; packages that uv has fetched before stay known."""
    if UV.exists():
        known = subprocess.run([UV, "cache", "dir"], capture_output=True, text=True, check=True)
        monkeypatch.setenv("UV_CACHE_DIR", known.stdout.strip())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "analysis-facility"


def test_environment_is_installed_once_when_asked_twice() -> None:
    said: list[str] = []
    install_rucio(print)  # for all tests; the servers of other modules run in it
    install_rucio(said.append)
    assert said == []
    assert rucio_python().exists()


def test_what_a_killed_installation_left_is_removed_after_a_while(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, fresh = empty_cache / ".rucio-old", empty_cache / ".rucio-fresh"
    for folder in (old, fresh):
        (folder / "environment").mkdir(parents=True)
    os.utime(old, (1, 1))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(empty_cache / "none"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SetupError):
        install_rucio(print)
    assert {path.name for path in empty_cache.glob(".rucio-*")} == {".rucio-fresh"}


def test_nothing_is_left_when_the_packages_cannot_be_fetched(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "no packages"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SetupError, match="Is the network up\\?") as error:
        install_rucio(print)
    assert error.value.code == "rucio-not-installed"
    assert "`rucio: null`" in str(error.value)
    assert list(empty_cache.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_the_installation_is_interrupted(
    empty_cache: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INSTALL], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    wait_for(lambda: list(empty_cache.glob(".rucio-*/environment/bin/python")), "the beginning")
    process.send_signal(number)
    assert process.wait(30) != 0
    assert list(empty_cache.iterdir()) == []


def test_settings_are_the_same_when_read_back(tmp_path: Path) -> None:
    for filled in (None, tmp_path / "filled"):
        before = settings(tmp_path, filled=filled)
        path = tmp_path / "settings.json"
        path.write_text(before.dump())
        assert Settings.load(path) == before


@given(st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"), max_size=40))
@hypothesis_settings(max_examples=25)  # each writes three files to the disk
def test_configuration_holds_any_text_when_rucio_reads_it(text: str) -> None:
    parser = configparser.ConfigParser()
    with TemporaryDirectory() as folder:
        home = RucioHome(Path(folder))
        home.write(settings(home.folder, database=f"sqlite:///{text}|"), audience="rucio")
        parser.read(home.config, encoding="utf-8")
        assert {path.stat().st_mode & 0o777 for path in home.folder.iterdir()} == {0o600}
    assert parser["database"]["default"] == f"sqlite:///{text}|"


def test_no_memcached_of_the_machine_is_used_when_none_is_given(tmp_path: Path) -> None:
    home = RucioHome(tmp_path)
    home.write(settings(tmp_path), audience="rucio")
    parser = configparser.ConfigParser()
    parser.read(home.config)
    url = parser["cache"]["url"]
    assert url.startswith(f"{tmp_path}{os.sep}")
    assert not Path(url).exists()


def test_accounts_are_those_of_the_facility_file_when_it_names_others() -> None:
    section = Rucio(
        url="http://127.0.0.1:1", audience="rucio", account="af-{user}", accounts={"bob": "bobby"}
    )
    people = {person.account: person for person in rucio_people(section)}
    assert sorted(people) == ["af-alice", "af-carol", "af-dora", "bobby"]
    assert [name for name, person in people.items() if person.admin] == ["af-dora"]
