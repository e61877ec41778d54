"""Where clusters are written down: a state file, a log and a socket each.

The state file has all that the Lab shows, and what only the server may know (address of the
dashboard, process, socket) below ``private``. It is for the owner alone, replaced as a whole, and
written by the cluster's own process; others write only about a process that is gone.

The functions block, briefly: call them in a thread.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from af_labextension.owner_file import replace_file

from .proc import Identity, kill_marked

if TYPE_CHECKING:
    from pathlib import Path

ID = re.compile(r"lab-[0-9a-f]{32}")
"""Ids of clusters in the user's server."""

MARK = "AF_LAB_CLUSTER"
"""Variable with the cluster's id in the environment of all its processes."""

LIVE = ("pending", "starting", "running", "stopping")
"""States of a cluster that has a process, or soon will."""

SHOWN = 600.0
"""Seconds for which a cluster that ended by itself stays in the list, with its reason."""

START_LIMIT = 60.0
"""Seconds after which a cluster without a process is one that did not start."""

SILENCE = 90.0
"""Seconds without a sign of life after which a process on another machine is gone."""

_LARGEST = 256 * 1024
_KEYS = {"id": str, "state": str, "created_at": float, "private": dict}

KILLED = (
    "The process that held this cluster was ended from outside: killed, or out of memory. What was"
    " on its workers is lost."
)
SERVER_ENDED = "It ended with the server that it ran in."
NEVER_STARTED = "Its process did not start."


def new_id() -> str:
    """Return an id for a new cluster."""
    return f"lab-{secrets.token_hex(16)}"


class Folder:
    """The clusters of one user.

    Parameters
    ----------
    path
        Folder of the state files; made when the first is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ended: set[str] = set()

    def state_file(self, cluster: str) -> Path:
        """Return where a cluster is written down."""
        return self.path / f"{cluster}.json"

    def log_file(self, cluster: str) -> Path:
        """Return where the process of a cluster writes its log."""
        return self.path / f"{cluster}.log"

    def write(self, state: dict[str, Any]) -> None:
        """Write a cluster down."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self.state_file(state["id"]), json.dumps(state).encode())

    def read(self, cluster: str) -> dict[str, Any] | None:
        """Return a cluster as it was written down; None if there is none."""
        if not ID.fullmatch(cluster):
            return None
        try:
            with self.state_file(cluster).open("rb") as file:
                state = json.loads(file.read(_LARGEST))
        except (OSError, ValueError):
            return None
        whole = isinstance(state, dict) and all(
            isinstance(state.get(name), kind) for name, kind in _KEYS.items()
        )
        return state if whole and state["id"] == cluster else None

    def look(self, cluster: str) -> dict[str, Any] | None:
        """Return a cluster as it is now.

        One whose process is gone becomes a failed one, and what the process left behind is ended.
        """
        if cluster in self._ended:
            # written once more by its process, just before that was ended
            self.forget(cluster)
        state = self.read(cluster)
        if state is None:
            return None
        if state.get("state") in LIVE:
            return self._live(state)
        if time.time() - float(state.get("ended_at") or 0) > SHOWN:
            self.forget(cluster)
            return None
        return state

    def _live(self, state: dict[str, Any]) -> dict[str, Any] | None:
        holder = Identity.from_json(state["private"].get("holder"))
        if holder is None:
            late = time.time() - float(state["created_at"]) > START_LIMIT
            return self.bury(state, NEVER_STARTED) if late else state
        if holder.runs:
            return state
        if holder.is_here:
            # it may have written its end and gone between our two looks
            again = self.read(state["id"])
            if again is None or again.get("state") not in LIVE:
                return again
            return self.bury(state, KILLED)
        with suppress(OSError):
            if time.time() - self.state_file(state["id"]).stat().st_mtime < SILENCE:
                return None  # another server of the same user, on another machine
        return self.bury(state, SERVER_ENDED)

    def bury(self, state: dict[str, Any], reason: str) -> dict[str, Any]:
        """Write down that a cluster is over, and end what is left of it."""
        kill_marked(MARK, state["id"])
        buried = {
            **state,
            "state": "failed",
            "reason": reason,
            "ended_at": time.time(),
            "workers": 0,
            "cores": 0,
            "memory": 0,
            "ends_at": None,
            "ends_why": None,
            "warning": None,
            "private": {},
        }
        with suppress(OSError):
            self.write(buried)
        return buried

    def end(self, cluster: str) -> None:
        """End all processes of a cluster at once, and forget it."""
        self._ended.add(cluster)
        kill_marked(MARK, cluster)
        self.forget(cluster)

    def ids(self) -> list[str]:
        """Return the ids of what is written down."""
        try:
            names = sorted(entry.name for entry in self.path.iterdir())
        except OSError:
            return []
        return [name[:-5] for name in names if name.endswith(".json") and ID.fullmatch(name[:-5])]

    def clusters(self) -> list[dict[str, Any]]:
        """Return all clusters as they are now, the oldest first."""
        found = [state for one in self.ids() if (state := self.look(one)) is not None]
        return sorted(found, key=lambda state: state["created_at"])

    def forget(self, cluster: str) -> None:
        """Remove what is written down of a cluster."""
        for path in (self.state_file(cluster), self.log_file(cluster)):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def log_tail(self, cluster: str, size: int = 64 * 1024) -> str:
        """Return the end of the log of a cluster's process."""
        try:
            with self.log_file(cluster).open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - size))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""


def public(state: dict[str, Any]) -> dict[str, Any]:
    """Return what the browser gets to see of a cluster."""
    hidden = ("private", "ended_at")
    return {name: value for name, value in state.items() if name not in hidden}
