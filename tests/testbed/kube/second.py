"""A cluster of a test's own, beside the one that all tests share: to be killed and broken.

It has its own folder, namespace and addresses, and takes the programs from the shared one.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.kube.settings import MOST, Settings, from_environment
from testbed.kube.tools import BASE, Tools

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).resolve().parents[2]


@contextmanager
def second_settings() -> Iterator[Settings]:
    """Give the settings of a cluster that is down; whatever it becomes is removed afterwards."""
    shared = from_environment()
    shared.home.mkdir(parents=True, exist_ok=True)
    for name in (*BASE, "kubectl"):
        Tools(shared.bin).ensure(name)
    number, claim = _free_number()
    settings = Settings(shared.home / f"s{number}", f"afkubetest{number}", number)
    try:
        _remove(settings)  # of a test run that was killed
        settings.home.mkdir()
        settings.bin.symlink_to(shared.bin)
        try:
            yield settings
        finally:
            _remove(settings)
    finally:
        claim.close()


def _remove(settings: Settings) -> None:
    done = command(settings, "down")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(settings.home)


def _free_number() -> tuple[int, socket.socket]:
    """Return a number that nobody's tests use, and the name on this machine that keeps it ours.

    A name of the kernel's own leaves no file, is seen from every `AF_KUBE_HOME`, and dies with us.
    """
    for number in reversed(range(1, MOST)):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0analysis-facility-kube-{number}")
        except OSError:
            claim.close()
            continue
        return number, claim
    raise AssertionError("every number is in use")


def command_line(*arguments: str) -> list[str]:
    """Return what ``make kube-…`` calls."""
    return [sys.executable, "-m", "testbed.kube", *arguments]


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """Return the variables that name a cluster."""
    return {
        **os.environ,
        "PYTHONPATH": str(TESTS),
        "AF_KUBE_HOME": str(settings.home),
        "AF_KUBE_NAME": settings.name,
        "AF_KUBE_NUMBER": str(settings.number),
        **more,
    }


def command(
    settings: Settings, *arguments: str, before: tuple[str, ...] = (), **more: str
) -> subprocess.CompletedProcess[str]:
    """Run it to its end.

    Parameters
    ----------
    settings
        The cluster.
    arguments
        Of ``testbed.kube``.
    before
        A program that runs it, with that program's arguments.
    more
        Further variables.
    """
    return subprocess.run(
        [*before, *command_line(*arguments)],
        env=environment(settings, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
