"""Folders, reservations, processes and devices of one machine."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from af_hub.spawner.local.folders import Folders, copy_examples, folder_name
from af_hub.spawner.local.processes import kill_marked, start_mark
from af_hub.spawner.local.resources import GpuDevice, Machine, look_at_machine, read_gpu_table
from af_hub.spawner.policy.plan import Plan
from af_hub.spawner.policy.reservations import Book

MACHINE = Machine(
    cores=(0, 1, 2, 3),
    memory=8 * 1024**3,
    gpus=(GpuDevice("GPU-a", "A100"), GpuDevice("GPU-b", "A100"), GpuDevice("GPU-c", "T4")),
)


def reserve(
    book: Book, key: str, cores: int = 1, gpus: int = 0, product: str | None = None
) -> None:
    user = key.partition("/")[0]
    plan = Plan("p", "P", cores, 2**30, gpus, product, (), None)
    book.reserve(key, MACHINE, plan, user)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_folder_names_are_safe_and_different_when_users_differ(one: str, other: str) -> None:
    name = folder_name(one)
    assert name == Path(name).name
    assert name not in {"", ".", ".."}
    assert len(name) <= 47
    assert (name == folder_name(other)) == (one == other)


def test_folder_names_differ_when_one_imitates_the_others_slug() -> None:
    assert folder_name(folder_name("a/b")) != folder_name("a/b")


def free(book: Book, product: str | None, without: str = "") -> int:
    """Count the devices that nobody holds."""
    stock = book.site(MACHINE, without=without).gpu_stock(product)
    assert stock is not None
    return stock.free


def test_devices_are_given_once_when_two_servers_ask() -> None:
    book = Book()
    reserve(book, "alice/", gpus=1, product="A100")
    reserve(book, "bob/", gpus=1, product="A100")
    held = [gpu for entry in book.entries.values() for gpu in entry.gpus]
    assert sorted(held) == ["GPU-a", "GPU-b"]
    assert (free(book, "A100"), free(book, None)) == (0, 1)
    assert free(book, "A100", without="bob/") == 1
    book.release("alice/")
    assert free(book, "A100") == 1


def test_least_used_cores_are_given_when_some_are_busy() -> None:
    book = Book()
    reserve(book, "alice/", cores=2)
    reserve(book, "bob/", cores=2)
    assert [entry.cores for entry in book.entries.values()] == [(0, 1), (2, 3)]
    assert [(each.user, each.cpu) for each in book.running()] == [("alice", 2), ("bob", 2)]
    assert [each.key for each in book.usage("alice").select(mine=True)] == ["alice/"]
    assert not list(book.usage("alice", without="alice/").select(mine=True))


def test_examples_are_copied_when_new_and_kept_when_changed(tmp_path: Path) -> None:
    source, home = tmp_path / "source", tmp_path / "home"
    home.mkdir()
    source.mkdir()
    for name in ("changed", "removed", "untouched"):
        (source / name).write_text("1")
    (source / ".hidden").write_text("1")
    assert copy_examples(source, home) == ["changed", "removed", "untouched"]
    (home / "examples/changed").write_text("mine")
    (home / "examples/removed").unlink()
    (home / "examples/own").write_text("mine")
    for name in ("changed", "removed", "untouched", "own"):
        (source / name).write_text("2")
    assert copy_examples(source, home) == ["untouched"]
    assert (home / "examples/changed").read_text() == "mine"
    assert (home / "examples/own").read_text() == "mine"
    assert not (home / "examples/removed").exists()
    assert copy_examples(source, home) == []


def test_examples_stay_inside_the_home_when_a_user_links_elsewhere(tmp_path: Path) -> None:
    source, home, other = tmp_path / "source", tmp_path / "home", tmp_path / "other"
    for folder in (source, home, other):
        folder.mkdir()
    (source / "a").write_text("1")
    (home / "examples").symlink_to(other)
    assert copy_examples(source, home) == []
    assert list(other.iterdir()) == []


def test_runtime_folder_is_private_and_new_when_a_server_starts(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "h", tmp_path / "r" / "alice", tmp_path / "l" / "lab.log")
    folders.create()
    folders.token_file.write_text("old")
    folders.create()
    assert not folders.token_file.exists()
    assert stat.S_IMODE(folders.runtime.stat().st_mode) == 0o700
    with folders.open_log():
        assert stat.S_IMODE(folders.log.stat().st_mode) == 0o600


async def test_left_processes_are_ended_when_they_carry_the_mark() -> None:
    code = "import time; print(flush=True); time.sleep(60)"
    marked = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env={"AF_SERVER": "abc"}, stdout=asyncio.subprocess.PIPE
    )
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env={"AF_SERVER": "abcd"}, stdout=asyncio.subprocess.PIPE
    )
    for process in (marked, other):
        assert process.stdout is not None
        await process.stdout.readline()
    try:
        assert kill_marked("AF_SERVER", "abc") == 1
        assert await asyncio.wait_for(marked.wait(), 5) == -9
        assert other.returncode is None
    finally:
        other.kill()
        await other.wait()


async def test_process_is_told_apart_when_it_has_ended() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    own = start_mark(os.getpid())
    assert own is not None
    assert own == start_mark(os.getpid())
    await process.wait()
    assert start_mark(process.pid) != own
    assert start_mark(2**22 + 1) is None


async def test_machine_is_described_when_asked() -> None:
    machine = await look_at_machine()
    assert machine.cores == tuple(sorted(os.sched_getaffinity(0)))
    assert machine.memory > 2**28


def test_driver_table_is_read_when_lines_are_odd() -> None:
    table = "GPU-8f2a-1, NVIDIA A100, 40GB\n\nFailed to initialize NVML\nGPU-x;rm, A\n"
    assert read_gpu_table(table) == (GpuDevice("GPU-8f2a-1", "NVIDIA A100, 40GB"),)
