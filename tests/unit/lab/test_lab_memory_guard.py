"""When the guard looks, whom it ends, what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_labextension.memory import guard as guard_module
from af_labextension.memory.guard import Guard
from af_labextension.memory.meters import OwnProcesses
from af_labextension.memory.notices import (
    Crowded,
    Ended,
    Killed,
    amount,
    of_crowded,
    of_ended,
    of_killed,
)
from af_labextension.memory.processes import Process, Tree, is_marked, look, own_memory, read, trees
from af_labextension.memory.reading import (
    BUSIEST,
    FASTEST,
    GIB,
    LONGEST_NAP,
    MIB,
    SHORTEST_NAP,
    Reading,
    nap,
    usual_reserve,
)
from af_labextension.memory.watcher import FAULT_PAUSE, Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLEEP = "import time; print('up', flush=True); time.sleep(600)"


def sleeper() -> subprocess.Popen[bytes]:
    """Run a Python in a session of its own, as a kernel does; it is up and holds some MB."""
    return started()[0]


def started(first: str = "") -> tuple[subprocess.Popen[bytes], bytes]:
    """Run one that does something first; return it and the line that it prints, with "up" at its end."""
    running = subprocess.Popen(
        [sys.executable, "-c", f"{first}\n{SLEEP}"], stdout=subprocess.PIPE, start_new_session=True
    )
    assert running.stdout is not None
    line = running.stdout.readline()
    running.stdout.close()
    return running, line


@contextmanager
def sleeping(first: str = "") -> Iterator[tuple[subprocess.Popen[bytes], bytes]]:
    """Run one for a while, with all that it starts."""
    running, line = started(first)
    try:
        yield running, line
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def process(
    pid: int, parent: int = 1, session: int = 1, resident: int = 0, name: str = "x"
) -> Process:
    """Return a process."""
    return Process(pid, parent, session, resident, 0.0, name)


# --- when ------------------------------------------------------------------------


@given(limit=st.integers(256 * MIB, 4096 * GIB))
def test_the_reserve_lies_within_its_bounds(limit: int) -> None:
    reserve = usual_reserve(limit)
    assert 64 * MIB <= reserve <= GIB
    assert Reading(0, limit).line() == limit - reserve
    assert Reading(0, limit).line(MIB) == limit - MIB


@given(gap=st.integers(1, 4096 * GIB), cost=st.floats(0, 1))
def test_nothing_slower_than_promised_passes_between_two_looks(gap: int, cost: float) -> None:
    pause = nap(gap, cost)
    assert pause >= SHORTEST_NAP
    assert pause >= cost / BUSIEST
    if cost / BUSIEST <= SHORTEST_NAP < pause:
        assert pause * FASTEST <= gap or pause == cost / BUSIEST
    assert pause <= max(LONGEST_NAP, cost / BUSIEST)


class Scripted:
    """A meter and what acts, which remember."""

    def __init__(self, *readings: Reading | None) -> None:
        self.readings = list(readings)
        self.acted: list[Reading] = []
        self.relief = self.victims = self.deaths = 0
        self.closed = False

    def read(self) -> Reading | None:
        """Give the next."""
        return self.readings.pop(0)

    def processes(self) -> frozenset[int] | None:
        """Count all."""
        return None

    def act(self, meter: object, reading: Reading) -> float:  # noqa: ARG002 - an interface
        """Remember it."""
        self.acted.append(reading)
        return 0.5

    def relieved(self) -> None:
        """Remember it."""
        self.relief += 1

    def close(self) -> None:
        """Remember it."""
        self.closed = True

    def kills(self) -> int:
        """Give how many there are."""
        return self.victims

    def killed(self) -> None:
        """Remember it."""
        self.deaths += 1


def test_it_acts_when_the_line_is_reached_and_not_before() -> None:
    line = Reading(0, GIB).line()
    scripted = Scripted(Reading(line - 1, GIB), Reading(line, GIB), Reading(0, GIB), None)
    watcher = Watcher([scripted], scripted, work=lambda: 0.0)
    assert watcher.look() == SHORTEST_NAP
    assert scripted.acted == []
    assert watcher.look() == 0.5
    assert [reading.held for reading in scripted.acted] == [line]
    assert scripted.relief == 0
    assert watcher.look() == pytest.approx(line / FASTEST)
    assert scripted.relief == 1
    assert watcher.look() == LONGEST_NAP


def test_the_one_with_least_room_counts_when_there_are_several() -> None:
    roomy, full = Scripted(Reading(0, 64 * GIB)), Scripted(Reading(GIB, GIB))
    Watcher([roomy, full], full).look()
    assert full.acted == [Reading(GIB, GIB)]


def test_it_is_told_once_when_the_system_has_killed() -> None:
    scripted = Scripted(*[Reading(0, GIB)] * 3)
    scripted.victims = 2  # before the server was there
    watcher = Watcher([scripted], scripted)
    watcher.look()
    assert scripted.deaths == 0
    scripted.victims = 3
    watcher.look()
    watcher.look()
    assert scripted.deaths == 1


def test_it_goes_on_when_looking_fails() -> None:
    meter = Scripted()  # it has nothing to read
    watcher = Watcher([meter], Scripted())
    assert watcher.attempt() == FAULT_PAUSE
    watcher.start()
    watcher.stop()
    assert meter.closed


# --- whom ------------------------------------------------------------------------

KERNELS = {"one": 10, "two": 20}


def test_a_kernel_has_what_it_started_and_its_session() -> None:
    processes = [
        process(2, name="jupyterhub-singleuser"),
        process(10, 2, 10),
        process(11, 10, 10),  # a worker of a pool
        process(12, 10, 12),  # !command, which has a terminal of its own
        process(13, 12, 12),
        process(14, 1, 10),  # lost its parent
        process(20, 2, 20),
        process(30, 2, 30, 5, "bash"),
        process(31, 30, 30, 9, "root.exe"),
    ]
    found = {tree.kernel: [one.pid for one in tree.processes] for tree in trees(processes, KERNELS)}
    assert found["two"] == [20]
    assert found["one"][0] == 10
    assert sorted(found["one"]) == [10, 11, 12, 13, 14]
    (terminal,) = [tree for tree in trees(processes, KERNELS) if tree.processes[0].pid == 31]
    assert terminal.kernel is None
    assert terminal.resident == 14


def test_a_dask_cluster_of_this_server_is_not_its_notebooks_when_it_has_a_session() -> None:
    processes = [process(10, 2, 10), process(15, 10, 15), process(16, 15, 15), process(17, 10, 10)]
    found = trees(processes, KERNELS, lambda one: one.pid in {15, 17})
    kernel = next(tree for tree in found if tree.kernel == "one")
    assert [one.pid for one in kernel.processes] == [10, 17]
    assert any([one.pid for one in tree.processes] == [15, 16] for tree in found)


def test_marks_are_read_from_the_environment() -> None:
    marked = subprocess.Popen([sys.executable, "-c", SLEEP], env={"AF_LAB_CLUSTER": "lab-1"})
    plain = subprocess.Popen([sys.executable, "-c", SLEEP], env={"NOT_AF_LAB_CLUSTER": "lab-1"})
    try:
        assert is_marked(marked.pid, "AF_LAB_CLUSTER")
        assert not is_marked(plain.pid, "AF_LAB_CLUSTER")
    finally:
        for one in (marked, plain):
            one.kill()
            one.wait()
    assert not is_marked(plain.pid, "AF_LAB_CLUSTER")


def test_this_process_is_seen_as_it_is() -> None:
    found = read(os.getpid())
    assert found is not None
    assert found in [process for process in look() if process.pid == os.getpid()] or found.pid
    assert (found.parent, found.session) == (os.getppid(), os.getsid(0))
    assert 5 * MIB < own_memory(os.getpid()) <= found.resident + MIB
    assert read(2**22 + 1) is None


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """Run one for a test."""
    running = sleeper()
    yield running
    running.kill()
    running.wait()


class Counted:
    """A meter that counts some processes."""

    def __init__(self, *pids: int) -> None:
        self.pids = frozenset(pids)

    def read(self) -> Reading | None:
        """Tell nothing."""
        return None

    def processes(self) -> frozenset[int]:
        """Give them."""
        return self.pids

    def close(self) -> None:
        """Do nothing."""

    def kills(self) -> int:
        """Give none."""
        return 0


def guarding(
    kernels: Callable[[], dict[str, int]],
) -> tuple[Guard, list[Ended | Crowded | Killed]]:
    """Return a guard and what it tells."""
    told: list[Ended | Crowded | Killed] = []
    return Guard(kernels, told.append), told


def test_the_largest_is_killed_when_it_is_a_kernel(child: subprocess.Popen[bytes]) -> None:
    guard, told = guarding(lambda: {"one": child.pid})
    reading = Reading(20 * MIB, 20 * MIB)
    assert guard.act(Counted(child.pid), reading) == 0.0
    assert child.wait(10) == -signal.SIGKILL
    (ended,) = told
    assert isinstance(ended, Ended)
    assert (ended.kernel, ended.reading, ended.for_good) == ("one", reading, False)
    assert 0 < ended.held <= 20 * MIB


def test_no_kernel_is_killed_when_another_program_holds_most(
    child: subprocess.Popen[bytes],
) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", f"a = b'x' * {100 * MIB};" + SLEEP],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert other.stdout is not None
        other.stdout.readline()
        guard, told = guarding(lambda: {"one": child.pid})
        meter, reading = Counted(child.pid, other.pid), Reading(120 * MIB, 120 * MIB)
        assert guard.act(meter, reading) > 0
        assert told == []  # what the system kills at this moment may still be counted
        assert guard.act(meter, reading) > 0
        assert guard.act(meter, reading) > 0  # told once
        (crowded,) = told
        assert isinstance(crowded, Crowded)
        assert crowded.largest.processes[0].pid == other.pid
        assert child.poll() is None
        guard.relieved()
        for _ in range(2):
            guard.act(meter, reading)
        assert len(told) == 2
    finally:
        other.kill()
        other.communicate()


def test_no_kernel_is_killed_when_that_would_free_next_to_nothing(
    child: subprocess.Popen[bytes],
) -> None:
    guard, told = guarding(lambda: {"one": child.pid})
    for _ in range(2):
        guard.act(Counted(child.pid), Reading(8 * GIB, 8 * GIB))
    assert child.poll() is None
    assert isinstance(told[0], Crowded)


class Looking(Counted):
    """One that sees what the processes do while the guard looks at them."""

    def __init__(self, *pids: int) -> None:
        super().__init__(*pids)
        self.states: list[str] = []

    def processes(self) -> frozenset[int]:
        """Look until all stand still, or for half a second, and give them."""
        end = time.monotonic() + 0.5
        while (states := [state(pid) for pid in sorted(self.pids)]) != ["T"] * len(states):
            if time.monotonic() > end:
                break
        self.states += states
        return self.pids


def state(pid: int) -> str:
    """Return what a process does: R, S, T (held still) …."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_kernels_stand_still_until_it_is_known_whom_to_end_and_no_longer() -> None:
    first = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'while True: pass'])"
    )
    with sleeping(f"{first}; print(p.pid, end=' ')") as (kernel, line), sleeping() as (other, _):
        pool = int(line.split()[0])
        guard, told = guarding(lambda: {"one": kernel.pid, "two": other.pid})
        meter = Looking(kernel.pid, pool, other.pid)
        for _ in range(3):
            guard.act(meter, Reading(8 * GIB, 8 * GIB))
        # the third time it is known that holding them still is of no use
        assert meter.states[:6] == ["T"] * 6
        assert "T" not in meter.states[6:]
        assert "T" not in {state(pid) for pid in (kernel.pid, pool, other.pid)}
        assert len(told) == 1


def test_only_our_own_children_are_held_still() -> None:
    first = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'while True: pass'])"
    )
    with sleeping(f"{first}; print(p.pid, end=' ')") as (_, line):
        stranger = int(line.split()[0])
        guard, _ = guarding(lambda: {"one": stranger})
        meter = Looking(stranger)
        guard.act(meter, Reading(8 * GIB, 8 * GIB))
        assert meter.states == ["R"]


def test_kernels_go_on_when_looking_fails(child: subprocess.Popen[bytes]) -> None:
    class Broken(Counted):
        def processes(self) -> frozenset[int]:
            """Fail."""
            raise OSError

    guard, _ = guarding(lambda: {"one": child.pid})
    with pytest.raises(OSError, match=r"^$"):
        guard.act(Broken(), Reading(GIB, GIB))
    assert state(child.pid) != "T"


def test_it_is_told_which_kernel_the_system_has_killed_and_once() -> None:
    with sleeping() as (one, _), sleeping() as (two, _):
        guard, told = guarding(lambda: {"one": one.pid, "two": two.pid})
        guard.killed()
        assert told == [Killed(None)]
        two.kill()
        guard.killed()
        guard.killed()  # a process that is no kernel, while Jupyter has not started another yet
        assert told[1:] == [Killed("two"), Killed(None)]
        guard.act(Counted(one.pid), Reading(20 * MIB, 20 * MIB))
        guard.killed()  # the guard and the system meant the same one
        assert isinstance(told[3], Ended)
        assert told[4:] == [Killed(None)]


def test_a_kernel_is_left_dead_when_it_fills_the_memory_by_itself_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[bool] = []
    for _ in range(3):
        running = sleeper()
        if not told:
            guard, events = guarding(lambda: {"one": running.pid})  # noqa: B023
        guard.act(Counted(running.pid), Reading(20 * MIB, 20 * MIB))
        running.wait(10)
        assert isinstance(events[-1], Ended)
        told.append(events[-1].for_good)
    assert told == [False, False, True]
    # one that was used for a while begins anew
    monkeypatch.setattr(guard_module, "SOON", -1.0)
    running = sleeper()
    guard.act(Counted(running.pid), Reading(20 * MIB, 20 * MIB))
    running.wait(10)
    assert not events[-1].for_good  # type: ignore[union-attr]


def test_own_processes_are_added_up_when_the_system_sets_no_limit(
    child: subprocess.Popen[bytes],
) -> None:
    meter = OwnProcesses(os.getpid(), GIB)
    assert {os.getpid(), child.pid} <= meter.processes()
    reading = meter.read()
    assert reading is not None
    assert reading.limit == GIB
    assert reading.held >= own_memory(os.getpid())


# --- what is said ------------------------------------------------------------------


def test_the_notice_says_which_notebook_how_much_and_what_to_do() -> None:
    ended = Ended("k", int(3.5 * GIB), Reading(int(3.75 * GIB), 4 * GIB))
    notice = of_ended(ended, "work/Zmumu.ipynb", "python3").as_json()
    assert "work/Zmumu.ipynb" in notice["text"]
    assert "3.50 GiB" in notice["text"]
    assert "3.75 GiB of 4.00 GiB" in notice["text"]
    advice = " ".join(notice["advice"])
    for word in ("profile", "pieces", "Dask", "new kernel takes its place"):
        assert word in advice
    killed = of_killed(Killed("k"), "work/Zmumu.ipynb", "python3")
    assert "work/Zmumu.ipynb" in killed.text
    assert "killed by the system" in killed.text
    assert killed.advice == notice["advice"]
    lonely = of_ended(Ended("k", GIB, Reading(GIB, GIB), for_good=True), None, "python3")
    assert "(python3)" in lonely.text
    assert "not started again" in lonely.advice[0]


@given(name=st.text(max_size=15), resident=st.integers(0, 999 * GIB))
def test_a_notification_is_shown_whole(name: str, resident: int) -> None:
    tree = Tree(None, (process(4194304, resident=resident, name=name[:15]),))
    full = Reading(1000 * GIB, 1000 * GIB)
    text = of_crowded(Crowded(tree, full)).text
    if name.isascii() and name.isprintable():
        assert len(text) <= 140
    assert len(of_killed(Killed(), None, "").text) <= 140


def test_amounts_are_read_by_people() -> None:
    assert [amount(size) for size in (0, 64 * MIB, GIB)] == ["0 MiB", "64 MiB", "1.00 GiB"]
