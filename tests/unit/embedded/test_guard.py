"""The guard ends what belongs to a facility, and nothing else."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from af_hub.embedded.guard import find_processes, sweep
from testbed.facility import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLEEP = "import time; print(flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


@pytest.fixture
def instance() -> str:
    return secrets.token_hex(8)


@pytest.fixture
def start() -> Iterator[Callable[[str | None, str], subprocess.Popen[bytes]]]:
    """Give a function that starts Python with a mark and waits for its first line."""
    started: list[subprocess.Popen[bytes]] = []

    def starter(mark: str | None, code: str = SLEEP) -> subprocess.Popen[bytes]:
        environment = {name: each for name, each in os.environ.items() if name != "AF_INSTANCE"}
        if mark is not None:
            environment["AF_INSTANCE"] = mark
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        started.append(process)
        return process

    yield starter
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_only_marked_processes_end_when_swept(
    instance: str, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    ours, foreign, unmarked = start(instance), start(instance + "0"), start(None)
    assert find_processes(instance) == {ours.pid}
    assert sweep(instance) == 1
    assert ours.wait(60) == -signal.SIGTERM
    assert foreign.poll() is None
    assert unmarked.poll() is None


def test_stubborn_process_is_killed_when_the_grace_is_over(
    instance: str, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = start(instance, STUBBORN)
    sweep(instance, grace=0.2)
    assert process.wait(60) == -signal.SIGKILL


def test_child_is_found_when_it_has_lost_the_mark(
    instance: str, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    # what setproctitle does to /proc/PID/environ; here simply a cleared environment
    child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], env={{}})"
    parent = start(instance, f"{child}; {SLEEP}")
    wait_for(lambda: len(find_processes(instance)) == 2, "the child")
    sweep(instance)
    assert parent.wait(60) == -signal.SIGTERM
    assert find_processes(instance) == set()


def test_nothing_happens_when_there_is_nothing_to_sweep(instance: str) -> None:
    assert sweep(instance) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_guard_sweeps_when_its_parent_is_gone_and_not_before(
    instance: str, start: Callable[..., subprocess.Popen[bytes]], number: signal.Signals
) -> None:
    victim = start(instance)
    guard = subprocess.Popen(
        [sys.executable, "-m", "af_hub.embedded.guard", instance],
        stdin=subprocess.PIPE,
        env={**os.environ, "AF_INSTANCE": instance},
    )
    assert guard.stdin is not None
    status = Path(f"/proc/{guard.pid}/status")

    def ignores() -> bool:
        (mask,) = re.findall(r"SigIgn:\s+([0-9a-f]+)", status.read_text())
        return bool(int(mask, 16) & 1 << (number - 1))

    wait_for(ignores, "the guard to be on guard")
    guard.send_signal(number)
    assert guard.poll() is None
    assert victim.poll() is None
    guard.stdin.close()
    assert victim.wait(60) == -signal.SIGTERM
    assert guard.wait(60) == 0
