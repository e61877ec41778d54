"""What the user is told. Pure."""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .reading import GIB, MIB

if TYPE_CHECKING:
    from .processes import Tree
    from .reading import Reading

ENDS_IN_A_ROW = 3
"""Ends of a kernel, each soon after its start, after which it is not started again."""

LOST = "What it had in memory is gone; what the notebook shows and the files are untouched. "
NEXT = "A new kernel takes its place; nothing runs in it until you run it."
ADVICE = (
    "Read data in pieces: fewer branches, uproot.iterate, chunks.",
    "Let a Dask cluster do it: its workers have memory of their own.",
    "Start the server with a profile that has more memory.",
    "Shut down kernels that you do not need.",
)


@dataclass(frozen=True, slots=True)
class Ended:
    """A kernel was ended.

    Parameters
    ----------
    kernel
        Its identifier.
    held
        Bytes that it held, with all that it had started.
    reading
        How full it was.
    for_good
        It is not to be started again, since it would fill the memory again and again by itself.
    """

    kernel: str
    held: int
    reading: Reading
    for_good: bool = False


@dataclass(frozen=True, slots=True)
class Crowded:
    """The memory is nearly full, and not by a kernel.

    Parameters
    ----------
    largest
        Who holds most.
    reading
        How full it is.
    """

    largest: Tree
    reading: Reading


@dataclass(frozen=True, slots=True)
class Killed:
    """The system has killed a process, because the memory was used up before a kernel was ended.

    Parameters
    ----------
    kernel
        Identifier of the kernel that it was; None if it was none, or nobody can tell.
    """

    kernel: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """What the browser shows.

    Parameters
    ----------
    kind
        ``ended``, ``crowded`` or ``killed``.
    kernel, path
        The kernel and its notebook; None if there is none.
    title, text
        What happened.
    advice
        What to do, a sentence each.
    when
        Seconds since the epoch.
    id
        Tells it from others.
    """

    kind: Literal["ended", "crowded", "killed"]
    kernel: str | None
    path: str | None
    title: str
    text: str
    advice: tuple[str, ...]
    when: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    def as_json(self) -> dict[str, Any]:
        """Return it as the browser gets it."""
        return asdict(self)


def of_ended(ended: Ended, path: str | None, name: str) -> Notice:
    """Tell that a kernel was ended.

    Parameters
    ----------
    path
        Its notebook or console; None if it has none.
    name
        Name of the kind of kernel.
    """
    first = LOST
    if ended.for_good:
        first += (
            f"It was ended {ENDS_IN_A_ROW} times in a row soon after its start, so it is not"
            " started again by itself."
        )
    else:
        first += NEXT
    return Notice(
        kind="ended",
        kernel=ended.kernel,
        path=path,
        title="Kernel ended: no memory left",
        text=(
            f"{_who(path, name)} held {amount(ended.held)} and was ended, because"
            f" {_of(ended.reading)} of this server's memory were in use. All else in this server"
            " goes on."
        ),
        advice=(first, *ADVICE),
    )


def of_crowded(crowded: Crowded) -> Notice:
    """Tell that the memory is nearly full, and who fills it."""
    largest = crowded.largest
    process = largest.processes[0]
    who = "a kernel" if largest.kernel else f"{process.name!a} (process {process.pid})"
    return Notice(
        kind="crowded",
        kernel=None,
        path=None,
        title="Memory nearly full",
        # Lab cuts notifications at 140 characters
        text=(
            f"Memory nearly full: {_of(crowded.reading)}. Largest: {who},"
            f" {amount(largest.resident)}. End it before all is used up."
        ),
        advice=(),
    )


def of_killed(killed: Killed, path: str | None, name: str) -> Notice:
    """Tell that the system was faster than the guard.

    Parameters
    ----------
    path, name
        As for a kernel that was ended.
    """
    if killed.kernel is None:
        return Notice(
            kind="killed",
            kernel=None,
            path=None,
            title="Memory used up",
            text=(
                "Memory used up: the system killed a process of this server. A kernel that died"
                " just now died of that."
            ),
            advice=(),
        )
    return Notice(
        kind="killed",
        kernel=killed.kernel,
        path=path,
        title="Kernel killed: no memory left",
        text=(
            f"{_who(path, name)} was killed by the system, because it filled this server's memory"
            " faster than it could be ended. All else in this server goes on."
        ),
        advice=(LOST + NEXT, *ADVICE),
    )


def _who(path: str | None, name: str) -> str:
    return f"The kernel of {path}" if path else f"A kernel ({name}) without a notebook"


def amount(size: int) -> str:
    """Write bytes as people read them.

    Examples
    --------
    >>> amount(4026531840)
    '3.75 GiB'
    >>> amount(805306368)
    '768 MiB'
    """
    return f"{size / GIB:.2f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"


def _of(reading: Reading) -> str:
    return f"{amount(reading.held)} of {amount(reading.limit)}"
