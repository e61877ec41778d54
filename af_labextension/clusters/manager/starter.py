"""Start the process of a cluster, from the Lab server or from a kernel."""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .folder import LIVE, new_id
from .launch import command, environment, socket_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .folder import Folder
    from .launch import Plan


def start(
    python: str,
    folder: Folder,
    sockets: Path,
    plan: Plan,
    ended: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Start a cluster; blocks for some milliseconds.

    Parameters
    ----------
    python
        Program that runs it.
    folder, sockets
        Where it is written down, and where it listens.
    plan
        The cluster.
    ended
        Called, in a thread, when the process has ended.

    Returns
    -------
    dict
        Its state, pending.

    Raises
    ------
    OSError
        The process cannot be started.
    """
    cluster = new_id()
    state = plan.state(cluster)
    folder.write(state)
    log = os.open(folder.log_file(cluster), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # not asyncio's: that kills its children when it is cleared away
        process = subprocess.Popen(
            command(python, "hold"),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment(os.environ, cluster),
            start_new_session=True,  # it goes on when this server ends
        )
    except OSError:
        folder.forget(cluster)
        raise
    finally:
        os.close(log)
    job = plan.job(cluster, folder.path, socket_of(sockets, cluster))
    threading.Thread(
        target=_attend, args=(process, job, folder, cluster, ended), daemon=True
    ).start()
    return state


def _attend(
    process: subprocess.Popen[bytes],
    job: bytes,
    folder: Folder,
    cluster: str,
    ended: Callable[[], None],
) -> None:
    """Hand over the job, and see to it that the process's end is noticed, however it comes."""
    with suppress(OSError):
        process.communicate(job)
    state = folder.look(cluster)
    if state is not None and state["state"] in LIVE:  # it did not even begin
        lines = folder.log_tail(cluster, 300).strip().splitlines()[-1:]
        told = f" Its last words: {lines[0]}" if lines else ""
        folder.bury(state, f"Its process ended with status {process.returncode}.{told}")
    ended()
