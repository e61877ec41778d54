"""A notebook that grows past its memory: its kernel ends, the server and the others live on.

With a real server and real kernels in a control group that the system would kill in.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from af_labextension.memory.reading import GIB, MIB, Reading
from testbed.facility import living
from testbed.memory_group import guarded_lab, memory_group, standing_still, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.memory_group import GuardedLab, MemoryGroup

LIMIT = 768 * MIB

STEPS = f"""
import time
held = []
while len(held) * 16 < 4096:
    held.append(b"x" * (16 * {MIB}))
    time.sleep(0.02)
"""
"""Some 0.5 GiB a second, as data that is read piece by piece."""

AT_ONCE = f"""
import mmap
held = mmap.mmap(-1, 4 * {GIB}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for start in range(0, len(held), {MIB}):
    held[start : start + {MIB}] = b"x" * {MIB}
"""
"""As fast as one thread of the machine can."""


@pytest.fixture(scope="module")
def group() -> Iterator[MemoryGroup]:
    """Make a group."""
    with memory_group(LIMIT) as made:
        yield made


@pytest.fixture(scope="module")
def shared_lab(
    group: MemoryGroup, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuardedLab]:
    """Run a server in it."""
    with guarded_lab(tmp_path_factory.mktemp("lab") / "home", group) as running:
        yield running


@pytest.fixture
def lab(shared_lab: GuardedLab, group: MemoryGroup) -> Iterator[GuardedLab]:
    """Give the server to a test; nothing in it may be killed but by the guard."""
    yield shared_lab
    shared_lab.close_notebooks()
    assert shared_lab.process.poll() is None
    assert group.kills == 0


@pytest.fixture
def own_group() -> Iterator[MemoryGroup]:
    """Make another group for a test that lets the system kill."""
    with memory_group(LIMIT) as made:
        yield made


def lives_on(lab: GuardedLab, kernel_id: str) -> bool:
    """Tell whether a kernel is there."""
    return any(one["id"] == kernel_id for one in lab.ask("api/kernels"))


def test_the_kernel_ends_with_a_message_and_nothing_else_when_it_grows_past_the_limit(
    lab: GuardedLab,
) -> None:
    small, large = lab.notebook("small.ipynb"), lab.notebook("work/large.ipynb")
    small.run("kept = 42")
    large.begin(STEPS)
    notice = large.ended()
    assert "work/large.ipynb" in notice["text"]
    assert "of 768 MiB" in notice["text"]
    # another takes its place
    large.connect()
    large.run("assert 'held' not in globals()")
    small.run("assert kept == 42")
    assert [one["kernel"] for one in lab.news()] == [large.id]
    assert "work/large.ipynb" in lab.log.read_text()


def test_only_its_kernel_dies_with_words_when_a_notebook_grows_as_fast_as_the_machine_can(
    own_group: MemoryGroup, tmp_path: Path
) -> None:
    """By the guard; on a machine that is too busy for it, by the system, and the user knows all the same."""
    with guarded_lab(tmp_path / "home", own_group) as lab:
        small, large = lab.notebook("small.ipynb"), lab.notebook("work/large.ipynb")
        small.run("kept = 42")
        large.begin(AT_ONCE)
        notice = large.ended()
        assert notice["kind"] == ("killed" if own_group.kills else "ended")
        assert "work/large.ipynb" in notice["text"]
        large.connect()
        large.run("assert 'held' not in globals()")
        small.run("assert kept == 42")
        assert [one["kernel"] for one in lab.news()] == [large.id]


def test_the_system_kills_when_nobody_guards(own_group: MemoryGroup, tmp_path: Path) -> None:
    """Else the other tests would show nothing."""
    with guarded_lab(tmp_path / "home", own_group, memory_guard=False) as lab:
        large = lab.notebook("large.ipynb")
        large.begin(STEPS)
        until(lambda: own_group.kills > 0, lab)
        assert lab.notices() == []


def test_the_user_is_told_when_the_system_was_faster(
    own_group: MemoryGroup, tmp_path: Path
) -> None:
    # where a system kills all of a group at once nobody is left to tell
    with guarded_lab(tmp_path / "home", own_group) as lab:
        large = lab.notebook("large.ipynb")
        with standing_still(lab.process.pid):
            large.begin(STEPS)
            until(lambda: own_group.kills > 0, lab)
        notice = large.ended()
        assert notice["kind"] == "killed"
        assert "large.ipynb" in notice["text"]
        assert lab.news() == [notice]
        large.connect()


def test_the_whole_tree_of_a_kernel_ends_when_its_children_hold_the_memory(
    lab: GuardedLab, tmp_path: Path
) -> None:
    large = lab.notebook("pool.ipynb")
    pids = tmp_path / "pids"
    child = f"import os; open({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n')\n{STEPS}"
    large.begin(
        "import subprocess, sys\n"
        f"running = [subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=new)\n"
        "           for new in (False, True)]\n"
        "[one.wait() for one in running]"
    )
    large.ended()
    children = {int(pid) for pid in pids.read_text().split()}
    assert len(children) == 2
    # who takes in a killed kernel's children may be slow to bury them
    until(lambda: not living(children), lab)


READ = """
for _ in range(4):
    with open({path!r}, "rb") as file:
        while file.read(2**20):
            pass
"""


@pytest.mark.parametrize(("kept", "size"), [(200, 1024), (320, 280)], ids=["larger", "smaller"])
def test_no_kernel_ends_when_a_file_is_read_again_and_again(
    lab: GuardedLab, group: MemoryGroup, tmp_path: Path, kept: int, size: int
) -> None:
    """One that is larger than the limit, and one that the system keeps, as "active"."""
    reader = lab.notebook("reading.ipynb")
    reader.run(f"kept = b'x' * ({kept} * 2**20)")
    path = tmp_path / "file"
    with path.open("wb") as file:
        for _ in range(size):
            file.write(os.urandom(MIB))
        os.fsync(file.fileno())
        # its pages are those of the tests' group now; who reads it next has them
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    reader.run(READ.format(path=str(path)))
    line = Reading(0, LIMIT).line()
    assert group.usage > line  # the cache has filled the group past the line
    if size < kept:
        assert group.active_files > 0.8 * size * MIB
    # a guard that counted it would have looked meanwhile
    reader.run("import time; time.sleep(0.5); assert len(kept)")
    assert lab.news() == []


def test_the_user_is_told_who_fills_the_memory_when_it_is_no_kernel(
    lab: GuardedLab, group: MemoryGroup
) -> None:
    small = lab.notebook("small.ipynb")
    small.run("kept = 42")
    grow = f"import sys\nheld = [b'x' * (8 * {MIB}) for _ in sys.stdin]"
    other = subprocess.Popen(
        group.command(sys.executable, "-c", grow), stdin=subprocess.PIPE, start_new_session=True
    )

    def told() -> bool:
        assert other.stdin is not None
        other.stdin.write(b"more\n")
        other.stdin.flush()
        return bool(lab.news())

    try:
        until(told, lab)
        (notice,) = lab.news()
        assert notice["kind"] == "crowded"
        assert f"(process {other.pid})" in notice["text"]
        small.run("assert kept == 42")
        assert lives_on(lab, small.id)
    finally:
        other.kill()
        other.communicate()


def test_a_kernel_is_not_started_again_and_again_when_its_start_fills_the_memory(
    lab: GuardedLab,
) -> None:
    large = lab.notebook("startup.ipynb")
    startup = lab.home / "ipython/profile_default/startup"
    startup.mkdir(parents=True, exist_ok=True)
    (startup / "fill.py").write_text(STEPS)
    try:
        large.begin(STEPS)
        notice = large.ended(times=3)
        assert "not started again" in notice["advice"][0]
        until(lambda: not lives_on(lab, large.id), lab)
    finally:
        (startup / "fill.py").unlink()
    assert [one["kind"] for one in lab.news()] == ["ended"] * 3


def test_the_guard_keeps_a_limit_of_ours_when_the_system_sets_none(tmp_path: Path) -> None:
    with guarded_lab(tmp_path / "home", memory_limit=512 * MIB) as lab:
        small, large = lab.notebook("small.ipynb"), lab.notebook("large.ipynb")
        small.run("kept = 42")
        large.begin(STEPS)
        assert "of 512 MiB" in large.ended()["text"]
        small.run("assert kept == 42")
