"""How others find the process that holds the network namespace.

A process id alone may belong to somebody else by now; with the time of its start it is one process
for ever (proc_pid_stat(5)).
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from af_hub.embedded.files import write_atomically

INTERVAL = 0.02
"""Seconds between two looks for a holder."""

_START_TIME = 19
"""Index of field 22 of /proc/PID/stat among those after the name."""


def announce(path: Path) -> None:
    """Write down that this process holds a network namespace that is ready.

    Parameters
    ----------
    path
        File that `find` reads.
    """
    pid = os.getpid()
    write_atomically(path, json.dumps({"pid": pid, "started": _start_time(pid)}) + "\n")


def find(path: Path) -> int | None:
    """Return an open descriptor of the living holder, or None.

    Parameters
    ----------
    path
        What `announce` wrote; it may be of an earlier holder, damaged or missing.

    Returns
    -------
    int or None
        As of `os.pidfd_open`; readable when the holder ends. The caller closes it.
    """
    try:
        noted = json.loads(path.read_text(encoding="ascii"))
        pid, started = int(noted["pid"]), int(noted["started"])
        descriptor = os.pidfd_open(pid)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    with suppress(OSError, ValueError, LookupError):
        # after the descriptor was opened: now the number cannot be given away any more
        if _start_time(pid) == started:
            return descriptor
    os.close(descriptor)
    return None


def is_held(path: Path) -> bool:
    """Tell whether there is a living holder."""
    descriptor = find(path)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def wait_for_holder(path: Path, seconds: float) -> int:
    """Return the descriptor of a living holder as soon as there is one, see `find`.

    Raises
    ------
    TimeoutError
        There was none for that long.
    """
    deadline = time.monotonic() + seconds
    while (descriptor := find(path)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no process holds the network of {path}")
        time.sleep(INTERVAL)
    return descriptor


def is_listening(path: Path, port: int) -> bool:
    """Tell whether something listens on a TCP port of the holder's network.

    Parameters
    ----------
    path
        File that names the holder.
    port
        TCP port, of whatever address.
    """
    descriptor = find(path)
    if descriptor is None:
        return False
    try:
        pid = json.loads(path.read_text(encoding="ascii"))["pid"]
        tables = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
    except OSError:
        return False  # it ended while we looked
    finally:
        os.close(descriptor)
    # proc_net_tcp.txt: number, local address with port in hexadecimal, remote, state; 0A listens
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return any(row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port for row in rows)


def _start_time(pid: int) -> int:
    """Return when a living process was started, in ticks since the boot.

    Raises
    ------
    ProcessLookupError
        It has ended; a zombie has, too.
    """
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    fields = text.rpartition(")")[2].split()
    if fields[0] in {"Z", "X"}:
        raise ProcessLookupError(pid)
    return int(fields[_START_TIME])
