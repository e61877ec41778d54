"""Files that the Lab writes: lists of addresses, rucio.cfg, a token for each audience."""

from __future__ import annotations

import asyncio
import configparser
import json
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from af_labextension.errors import FileTrouble, LabError, NotAnswering
from af_labextension.repeating import Repeating
from af_labextension.rucio.client_file import is_ours, rendered
from af_labextension.rucio.fileset import file_name, write_fileset
from af_labextension.rucio.model import Did
from af_labextension.rucio.settings import RucioPlace, RucioServer
from af_labextension.rucio.terminal import TerminalConfig
from af_labextension.rucio.traits import respect_rucio_home
from af_labextension.secret import Secret
from af_labextension.tokens.audience_files import AudienceFiles
from af_labextension.tokens.bearer_file import BearerFile
from af_labextension.tokens.file_provider import FileTokenProvider
from af_labextension.tokens.keeper import TokenKeeper
from af_labextension.tokens.model import Token, Wanted
from af_labextension.tokens.provider import CachingTokenProvider

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DID = Did("cms", "/ZMuMu/Simulated/CONTAINER")
SERVER = RucioServer("https://rucio.example.org", "rucio", "alice")


def test_a_list_of_files_is_a_coffea_fileset(tmp_path: Path) -> None:
    path = write_fileset(tmp_path, DID, ["root://a//x", "root://a//y"])
    assert path.parent == tmp_path / "filesets"
    assert json.loads(path.read_text()) == {
        DID.name: {
            "files": {"root://a//x": "Events", "root://a//y": "Events"},
            "metadata": {"rucio": str(DID), "made_by": "analysis-facility"},
        }
    }


def test_a_list_of_ours_is_replaced_and_any_other_file_is_left_alone(tmp_path: Path) -> None:
    path = write_fileset(tmp_path, DID, ["root://a//x"])
    assert write_fileset(tmp_path, DID, ["root://a//y"]) == path
    assert "root://a//y" in path.read_text()
    path.write_text("my own notes")
    second = write_fileset(tmp_path, DID, ["root://a//z"])
    assert second != path
    assert path.read_text() == "my own notes"
    # a list of ours for another DID under this name is somebody's work as well
    second.write_text(write_fileset(tmp_path, Did("cms", "/b"), []).read_text())
    assert write_fileset(tmp_path, DID, []) not in {path, second}


def test_no_link_is_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "filesets").mkdir()
    (tmp_path / "filesets" / f"{file_name(DID)}.json").symlink_to(target)
    write_fileset(tmp_path, DID, ["root://a//x"])
    assert target.read_text() == "precious"


def test_a_link_to_a_list_of_ours_stays_a_link(tmp_path: Path) -> None:
    path = write_fileset(tmp_path, DID, [])
    path.rename(tmp_path / "kept.json")
    path.symlink_to(tmp_path / "kept.json")
    assert write_fileset(tmp_path, DID, ["root://a//x"]) != path
    assert path.is_symlink()


def test_a_list_that_cannot_be_written_has_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "filesets").write_text("a file where a folder should be")
    with pytest.raises(FileTrouble) as caught:
        write_fileset(tmp_path, DID, [])
    assert caught.value.code == "fileset-file"


def test_after_nine_foreign_files_nothing_is_written(tmp_path: Path) -> None:
    for _ in range(9):
        write_fileset(tmp_path, DID, []).write_text("mine")
    with pytest.raises(FileTrouble):
        write_fileset(tmp_path, DID, [])


@pytest.mark.parametrize("name", ["/../../etc", "a/b", "..", "<é>", "x" * 1000, "/", "a\\b"])
def test_a_file_name_is_safe_and_its_own(name: str) -> None:
    made = file_name(Did("cms", name))
    assert len(made) < 100
    assert made.replace("-", "").replace(".", "").replace("_", "").isalnum()
    assert made.isascii()
    assert not made.startswith(".")
    assert made != file_name(Did("cms", name + "/"))


def test_the_clients_configuration_says_what_the_facility_says(tmp_path: Path) -> None:
    text = rendered(SERVER, tmp_path / "100%", "/ca.pem")
    parser = configparser.ConfigParser()
    parser.read_string(text)
    assert dict(parser["client"]) == {
        "rucio_host": "https://rucio.example.org",
        "auth_host": "https://rucio.example.org",
        "auth_type": "userpass",
        "username": "token-file",
        "password": "none",
        "auth_token_file_path": str(tmp_path / "100%" / "rucio"),
        "account": "alice",
        "ca_cert": "/ca.pem",
    }
    assert is_ours(text)
    assert not is_ours("[client]\n" + text)


class Hub:
    """A hub that says what a test sets."""

    def __init__(self) -> None:
        self.rucio: dict[str, str] | None = {"url": SERVER.url, "audience": "rucio"}
        self.trouble: LabError | None = None
        self.place = RucioPlace(None, (), self.config)

    async def config(self) -> dict[str, object]:
        """Answer, or fail."""
        if self.trouble:
            raise self.trouble
        return {"rucio": self.rucio}


async def test_the_clients_configuration_follows_the_facility(tmp_path: Path) -> None:
    hub, path = Hub(), tmp_path / "run" / "rucio.cfg"
    terminal = TerminalConfig(hub.place, path, tmp_path, None)
    hub.trouble = NotAnswering("hub-unreachable", "No.")
    assert await terminal.look() < 10
    hub.trouble = None
    await terminal.look()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.stat().st_mtime_ns
    await terminal.look()
    assert path.stat().st_mtime_ns == before
    hub.rucio = {"url": "https://moved.example.org", "audience": "rucio"}
    await terminal.look()
    assert "moved.example.org" in path.read_text()
    hub.rucio = None
    await terminal.look()
    assert not path.exists()
    await terminal.stop()


async def test_a_users_own_configuration_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rucio.cfg"
    path.write_text("[client]\nrucio_host = https://mine.example.org\n")
    terminal = TerminalConfig(Hub().place, path, tmp_path, None)
    await terminal.look()
    await terminal.stop()
    assert "mine.example.org" in path.read_text()


async def test_the_configuration_is_taken_away_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "rucio.cfg"
    terminal = TerminalConfig(Hub().place, path, tmp_path, None)
    terminal.start()
    async with asyncio.timeout(10):
        while not path.exists():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.01)
    await terminal.stop()
    assert not path.exists()


async def test_a_folder_where_no_file_can_be_made_costs_only_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    terminal = TerminalConfig(Hub().place, tmp_path / "file" / "rucio.cfg", tmp_path, None)
    assert await terminal.look() > 0
    await terminal.stop()


@pytest.mark.parametrize(
    ("home", "there", "kept"), [(True, False, False), (True, True, True), (False, False, True)]
)
def test_rucio_home_counts_when_the_other_file_is_not_there(
    tmp_path: Path, home: bool, there: bool, kept: bool
) -> None:
    path = tmp_path / "rucio.cfg"
    if there:
        path.write_text("")
    environment = {"RUCIO_CONFIG": str(path)} | ({"RUCIO_HOME": "/x"} if home else {})
    respect_rucio_home(environment)
    assert ("RUCIO_CONFIG" in environment) is kept


# --- a token file for each audience ----------------------------------------------------------


class World:
    """A hub with tokens for every audience, and audiences in use that change."""

    def __init__(self, folder: Path) -> None:
        self.wanted: Iterable[str] = ["storage", "rucio"]
        self.trouble: LabError | None = None
        self.folder = folder
        self.files = AudienceFiles(CachingTokenProvider(self.fetch), folder, self.audiences)

    async def audiences(self) -> Iterable[str]:
        """Name the audiences in use, or fail."""
        if self.trouble:
            raise self.trouble
        return self.wanted

    async def fetch(self, wanted: Wanted) -> Token:
        """Issue a token."""
        return Token(Secret(f"token-for-{wanted.audience}"), wanted.audience, 0.0, 4e9)

    async def look_until(self, *names: str) -> None:
        """Look, and wait until there are exactly these files."""
        await self.files.look()
        async with asyncio.timeout(10):
            while self.names() != set(names):  # noqa: ASYNC110 - a folder has no event
                await asyncio.sleep(0.01)

    def names(self) -> set[str]:
        """Return the files there are."""
        if not self.folder.exists():
            return set()
        return {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}


async def test_each_audience_has_its_own_file(tmp_path: Path) -> None:
    world = World(tmp_path / "tokens")
    await world.look_until("storage", "rucio")
    for name in ("storage", "rucio"):
        path = world.folder / name
        assert path.read_text() == f"token-for-{name}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(world.folder.stat().st_mode) == 0o700
    await world.files.stop()
    assert world.names() == set()


async def test_files_come_and_go_with_the_audiences_in_use(tmp_path: Path) -> None:
    world = World(tmp_path / "tokens")
    await world.look_until("storage", "rucio")
    world.wanted = ["storage", "tape"]
    await world.look_until("storage", "tape")
    # a hub that is away says nothing about audiences
    world.trouble = NotAnswering("hub-unreachable", "No.")
    await world.look_until("storage", "tape")
    await world.files.stop()


@pytest.mark.parametrize("name", ["../rucio", "a/b", "", ".", "..", ".hidden", "a\nb", "é"])
async def test_no_audience_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    world = World(tmp_path / "tokens")
    world.wanted = [name, "good"]
    await world.look_until("good")
    assert [path.name for path in tmp_path.iterdir()] == ["tokens"]  # noqa: ASYNC240
    await world.files.stop()


async def test_the_state_tells_when_an_audiences_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("a file where a folder should be")
    world = World(tmp_path / "tokens")
    await world.files.look()
    provider = CachingTokenProvider(world.fetch)
    await provider.token("rucio")
    async with asyncio.timeout(10):
        while world.files.refine(provider.state("rucio")).state != "error":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await world.files.stop()


async def test_a_failure_costs_one_time_only(caplog: pytest.LogCaptureFixture) -> None:
    times = 0
    over = asyncio.Event()

    async def once() -> float:
        nonlocal times
        times += 1
        if times == 1:
            raise RuntimeError("unforeseen")
        over.set()
        return 3600.0

    repeating = Repeating("thing", once, pause=0.0)
    repeating.start()
    await asyncio.wait_for(over.wait(), 5)
    await repeating.stop()
    assert "unforeseen" in caplog.text


class SlowFile(BearerFile):
    """A token file on a disk that takes its time."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def write(self, token: Secret) -> None:
        """Write when the test says so."""
        self.begun.set()
        self.go_on.wait(10)
        super().write(token)


async def test_no_token_is_left_when_the_end_comes_while_it_is_written(tmp_path: Path) -> None:
    world, file = World(tmp_path), SlowFile(tmp_path / "token")

    async def audience() -> str:
        return "storage"

    keeper = TokenKeeper(CachingTokenProvider(world.fetch), file, audience)
    keeper.start()
    await asyncio.to_thread(file.begun.wait, 10)
    stopping = asyncio.create_task(keeper.stop())
    await asyncio.wait({stopping}, timeout=0.2)
    assert not stopping.done()  # it waits for the write
    file.go_on.set()
    await asyncio.wait_for(stopping, 10)
    assert not file.path.exists()


@pytest.mark.parametrize("content", ["a b", "a\nX-Other: b", "", " \n", "\x00", "t" * 70_000])
async def test_a_file_that_holds_no_token_is_not_sent(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    with pytest.raises(NotAnswering) as caught:
        await FileTokenProvider(path).token("rucio")
    assert caught.value.code == "token-file-unreadable"
    path.write_text(" eyJ.good-token \n")
    assert (await FileTokenProvider(path).token("rucio")).value.reveal() == "eyJ.good-token"
