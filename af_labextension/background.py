"""A thread that works from `start` to `stop`, beside the server's loop. Pure."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Background:
    """One thread.

    Parameters
    ----------
    name
        For the thread.
    work
        Runs in the thread, and returns when `pause` says that it is over.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def over(self) -> bool:
        """Whether it shall end."""
        return self._over.is_set()

    def pause(self, seconds: float) -> bool:
        """Wait, not longer than until `stop`.

        Returns
        -------
        bool
            Whether it shall end.
        """
        return self._over.wait(seconds)

    def start(self) -> None:
        """Begin."""
        # a daemon: the process may end without `stop`
        self._thread = threading.Thread(target=self._work, name=f"af-{self._name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; waits for what is under way."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
