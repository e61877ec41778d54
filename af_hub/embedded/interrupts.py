"""Ctrl-C before the event loop listens to it: none is lost.

While Python imports and cleans up, parts of it run in callbacks of weak references and in
finalizers, and a KeyboardInterrupt that is raised there is printed and dropped (CPython's page on
`signal`, "Note on Signal Handlers and Exceptions"). A facility that is interrupted in such a
moment would start as if nothing had been said. So what was asked for is also noted, and read where
the start goes on.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

_noted: list[int] = []


def note_interrupts() -> None:
    """Raise KeyboardInterrupt at SIGINT as Python does, and remember it."""
    _noted.clear()
    signal.signal(signal.SIGINT, _note)


def go_on() -> None:
    """Return if nothing was noted.

    Raises
    ------
    KeyboardInterrupt
        The user asked for an end, and it may have got lost.
    """
    if _noted:
        raise KeyboardInterrupt


def _note(number: int, _frame: FrameType | None) -> NoReturn:
    _noted.append(number)
    raise KeyboardInterrupt
