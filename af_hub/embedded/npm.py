"""Calling npm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from af_hub.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT = 900
"""Seconds; a first download over a slow line takes minutes."""

GRACE = 5
"""Seconds between SIGTERM and SIGKILL."""

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def npm(arguments: list[str], folder: Path) -> None:
    """Run npm in `folder`; called from the main thread.

    npm starts shells, which start compilers: it gets a process group of its own, which ends with
    it, whether we are interrupted or time is up.

    Raises
    ------
    SetupError
        ``npm-failed`` with the end of its output.
    KeyboardInterrupt
        On SIGINT, SIGTERM and SIGHUP.
    """
    command = ["npm", *arguments]
    with (
        _interruptible(),
        subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(),
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
                raise SetupError(
                    "npm-failed",
                    f"`{' '.join(command)}` did not end within {TIMEOUT // 60} minutes.",
                ) from error
            raise
    if process.returncode:
        end = "\n".join(f"    {line}" for line in output.splitlines()[-15:])
        raise SetupError(
            "npm-failed",
            f"`{' '.join(command)}` failed in {folder}. Is the network up? Its last words:\n{end}",
        )


def _environment() -> dict[str, str]:
    environment = os.environ.copy()
    # the front end's scripts call jupyter-builder, which is in this Python's environment
    own = str(Path(sys.prefix) / "bin")
    environment["PATH"] = os.pathsep.join((own, environment.get("PATH", os.defpath)))
    return environment


@contextmanager
def _interruptible() -> Iterator[None]:
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
