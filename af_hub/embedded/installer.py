"""Running a program that installs something, and ending all of it when we are interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

TIMEOUT = 900
"""Seconds; a first download over a slow line takes minutes."""

GRACE = 5
"""Seconds between SIGTERM and SIGKILL."""

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InstallerFailure(Exception):
    """A program that installs something has failed.

    Parameters
    ----------
    what
        What it was and how it ended, without a full stop.
    words
        The end of its output, ready to follow a sentence; empty if there is none.
    """

    def __init__(self, what: str, words: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.words = words


def run_installer(command: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> None:
    """Run a program to its end; called from the main thread.

    Installers start shells, which start compilers: it gets a process group of its own, which ends
    with it, whether we are interrupted or time is up.

    Parameters
    ----------
    command
        Program and arguments.
    folder
        Working folder.
    environment
        All of its environment.

    Raises
    ------
    InstallerFailure
        It failed, or took longer than `TIMEOUT`.
    KeyboardInterrupt
        On SIGINT, SIGTERM and SIGHUP.
    """
    line = " ".join(command)
    with (
        interruptible(),
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process,
    ):
        try:
            output, _ = process.communicate(timeout=TIMEOUT)
        except BaseException as error:
            _end_group(process)
            if isinstance(error, subprocess.TimeoutExpired):
                what = f"`{line}` did not end within {TIMEOUT // 60} minutes"
                raise InstallerFailure(what) from error
            raise
    if process.returncode:
        end = "\n".join(f"    {each}" for each in output.splitlines()[-15:])
        raise InstallerFailure(f"`{line}` failed in {folder}", f" Its last words:\n{end}")


@contextmanager
def interruptible() -> Iterator[None]:
    """Make every polite way to end this process raise KeyboardInterrupt."""

    def interrupt(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_group(process: subprocess.Popen[str]) -> None:
    for number in INTERRUPTS:  # an impatient second Ctrl-C must not leave anything behind
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
