"""The bearer-token file: whole, private, never truncated."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from af_labextension.errors import FileTrouble
from af_labextension.secret import Secret
from af_labextension.tokens.bearer_file import BearerFile

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def file(tmp_path: Path) -> BearerFile:
    return BearerFile(tmp_path / "run" / "deep" / "bt")


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_file_and_folder_are_private_when_the_umask_is_open(file: BearerFile) -> None:
    with umask(0):
        file.write(Secret("token"))
    assert file.path.read_bytes() == b"token"
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert file.holds(Secret("token"))


def test_nothing_else_stays_in_the_folder_when_a_token_is_replaced(file: BearerFile) -> None:
    for number in range(5):
        file.write(Secret(f"token-{number}"))
    assert [path.name for path in file.path.parent.iterdir()] == ["bt"]


def test_readers_never_see_a_part_when_the_token_changes_all_the_time(file: BearerFile) -> None:
    tokens = [Secret(letter * size) for letter, size in (("a", 9000), ("b", 200), ("c", 20000))]
    whole = {token.reveal() for token in tokens}
    file.write(tokens[0])
    broken: list[str] = []
    reads = 0
    done = threading.Event()

    def read() -> None:
        nonlocal reads
        while not done.is_set():
            content = file.path.read_text()
            reads += 1
            if content not in whole:
                broken.append(content)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(300):
        file.write(tokens[number % 3])
    done.set()
    for reader in readers:
        reader.join()
    assert reads > 300
    assert not broken


def test_two_writers_do_not_break_each_other(file: BearerFile) -> None:
    other = BearerFile(file.path)
    failures: list[BaseException] = []

    def write(target: BearerFile, token: Secret) -> None:
        try:
            for _ in range(100):
                target.write(token)
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            failures.append(error)

    tokens = [Secret("a" * 5000), Secret("b" * 7000)]
    writers = [
        threading.Thread(target=write, args=pair)
        for pair in zip((file, other), tokens, strict=True)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failures
    assert any(file.holds(token) for token in tokens)
    assert [path.name for path in file.path.parent.iterdir()] == ["bt"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from af_labextension.errors import FileTrouble
from af_labextension.secret import Secret
from af_labextension.tokens.bearer_file import BearerFile

file = BearerFile(Path(sys.argv[1]))
file.write(Secret("old"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    file.write(Secret("n" * 5000))
except FileTrouble as error:
    print(error.code)
"""


def test_the_old_token_stays_when_nothing_more_can_be_written(file: BearerFile) -> None:
    # a limit on file sizes makes write(2) fail after a part, as a full disk does
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(file.path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert run.stdout.strip() == "token-file"
    assert file.path.read_text() == "old"
    assert [path.name for path in file.path.parent.iterdir()] == ["bt"]


@pytest.mark.skipif(
    not Path("/dev/full").exists() or os.geteuid() != 0 or not Path("/bin/mount").exists(),
    reason="a full file system needs root and mount",
)
def test_the_old_token_stays_when_the_file_system_is_full(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(small)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mount is not permitted here")
    try:
        file = BearerFile(small / "bt")
        file.write(Secret("old"))
        (small / "ballast").write_bytes(b"x" * resource.getpagesize() * 3)
        with pytest.raises(FileTrouble, match="No space left"):
            file.write(Secret("new"))
        assert file.path.read_text() == "old"
        assert {path.name for path in small.iterdir()} == {"bt", "ballast"}
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_folder_is_refused_when_others_may_replace_files_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(FileTrouble, match="chmod go-w"):
        BearerFile(folder / "bt").write(Secret("token"))
    assert not list(folder.iterdir())
    folder.chmod(0o1777)  # as the system's temporary folder, a place of WLCG token discovery
    BearerFile(folder / "bt").write(Secret("token"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "bt").symlink_to(target)
    BearerFile(tmp_path / "bt").write(Secret("token"))
    assert target.read_text() == "mine"
    assert not (tmp_path / "bt").is_symlink()


def test_trouble_is_told_when_the_folder_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileTrouble) as error:
        BearerFile(tmp_path / "file" / "bt").write(Secret("planted-token"))
    assert error.value.code == "token-file"
    assert "planted-token" not in str(error.value) + error.value.detail


def test_holds_is_false_when_the_file_is_open_to_others(file: BearerFile) -> None:
    file.write(Secret("token"))
    file.path.chmod(0o644)
    assert not file.holds(Secret("token"))


def test_sweep_takes_old_leftovers_only(file: BearerFile) -> None:
    file.write(Secret("token"))
    old = file.path.with_name(".bt.1.aa.new")
    young = file.path.with_name(".bt.2.bb.new")
    for leftover in (old, young):
        leftover.write_text("")
    os.utime(old, (time.time() - 7200,) * 2)
    file.sweep()
    assert not old.exists()
    assert young.exists()


def test_remove_is_quiet_when_the_file_is_gone(file: BearerFile) -> None:
    file.remove()
    file.write(Secret("token"))
    file.remove()
    assert not file.path.exists()
