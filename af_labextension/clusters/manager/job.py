"""What the process of a cluster is told to hold.

It comes on stdin, not in the arguments, which everybody on the machine can read::

    {"state": {…}, "factory": "module:Class", "args": [], "kwargs": {}, "wish": {…},
     "lifetime": {"idle": 1800, "max": 86400}, "folder": "…", "socket": "…"}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .folder import Folder
from .held import Held
from .times import Lifetime


@dataclass(frozen=True, slots=True)
class Job:
    """What to hold.

    Parameters
    ----------
    state
        As it stands in the state file.
    held
        The cluster, not started.
    lifetime
        When it ends by itself.
    folder, socket
        Where it is written down, and where it answers.
    """

    state: dict[str, Any]
    held: Held
    lifetime: Lifetime
    folder: Folder
    socket: Path

    @classmethod
    def read(cls, raw: bytes) -> Job:
        """Read what the Lab server sent."""
        found = json.loads(raw)
        return cls(
            state=found["state"],
            held=Held(found["factory"], found["args"], found["kwargs"], found["wish"]),
            lifetime=Lifetime(**found["lifetime"]),
            folder=Folder(Path(found["folder"])),
            socket=Path(found["socket"]),
        )
