"""How the process of a cluster is started. Pure."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .folder import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping

RUN = Path(__file__).with_name("run.py")
"""The program."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A cluster to be made, checked.

    Parameters
    ----------
    type, title, site
        Of the cluster's type.
    factory, args, kwargs
        The class, ``module:Class``, and its arguments; the administrator's, never the browser's.
    wish
        Sizes that the user chose: ``worker_cores``, ``worker_memory`` (bytes).
    scale
        ``{"mode": "fixed", "workers"}`` or ``{"mode": "adaptive", "minimum", "maximum"}``.
    idle, longest
        Seconds without work, and seconds of age, after which it ends; 0 is never.
    """

    type: str
    title: str
    site: str
    factory: str
    args: list[Any]
    kwargs: dict[str, Any]
    wish: dict[str, Any]
    scale: dict[str, Any]
    idle: float = 0.0
    longest: float = 0.0
    created_at: float = field(default_factory=time.time)

    def state(self, cluster: str) -> dict[str, Any]:
        """Return how the cluster is shown before its process says anything."""
        scale = self.scale
        return {
            "id": cluster,
            "name": f"{self.type}-{cluster[4:10]}",
            "type": self.type,
            "title": self.title,
            "site": self.site,
            "backend": "in-lab",
            "state": "pending",
            "reason": None,
            "workers": 0,
            "wanted": scale["workers"] if scale["mode"] == "fixed" else scale["minimum"],
            "cores": 0,
            "memory": 0,
            "gpus": 0,
            "image": None,
            "group": None,
            "scale": scale,
            "created_at": self.created_at,
            "options": self.wish,
            "token": None,
            "ends_at": None,
            "ends_why": None,
            "warning": None,
            "held": None,
            "private": {},
        }

    def job(self, cluster: str, folder: Path, socket: Path) -> bytes:
        """Return what the process reads from its stdin."""
        return json.dumps(
            {
                "state": self.state(cluster),
                "factory": self.factory,
                "args": self.args,
                "kwargs": self.kwargs,
                "wish": self.wish,
                "lifetime": {"idle": self.idle, "max": self.longest},
                "folder": str(folder),
                "socket": str(socket),
            }
        ).encode()


def command(python: str, what: str) -> list[str]:
    """Return the command line; it holds nothing that others may not see."""
    # -P: no module of the folder that the Lab was started in
    return [python, "-P", str(RUN), what]


def socket_of(folder: Path, cluster: str) -> Path:
    """Return where the process of a cluster listens."""
    return folder / f"af-{cluster}.sock"


def environment(surroundings: Mapping[str, str], cluster: str) -> dict[str, str]:
    """Return the environment of the process: that of a kernel, and the mark."""
    return {**surroundings, MARK: cluster}
