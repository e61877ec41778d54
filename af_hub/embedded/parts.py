"""A part of a facility: one child process with a readiness probe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

INSTANCE_VARIABLE = "AF_INSTANCE"
"""Environment variable that marks every process of a facility, see `af_hub.embedded.guard`."""


@dataclass(frozen=True, slots=True)
class Part:
    """How one part is started, probed and stopped.

    Parameters
    ----------
    name
        Short name, also the name of the log file, for example ``iam``.
    title
        Name for people, for example ``Development IAM``.
    command
        Program and arguments. Holds no secret: every user of the machine can read it.
    environment
        Added to a small clean environment. Holds no secret.
    ready
        Probe, called every 0.1 s until it returns True. Must not raise for a part that is
        not up yet.
    address
        Where the part listens, for the table that ``run`` prints.
    after
        Names of parts that must be ready before this one is started.
    restarted
        Called when the part is ready again after it died, to give back what it lost.
    start_timeout
        Seconds that the part has to become ready.
    stop_timeout
        Seconds between SIGTERM and SIGKILL.
    optional
        Whether the facility is of use without it: a start that fails is told and tried again,
        and keeps nothing else from starting.
    """

    name: str
    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], Awaitable[bool]] = field(kw_only=True)
    address: str = ""
    after: tuple[str, ...] = ()
    restarted: Callable[[], Awaitable[None]] | None = None
    start_timeout: float = 60.0
    stop_timeout: float = 10.0
    optional: bool = False
