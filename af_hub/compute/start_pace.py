"""How fast a cluster may start workers again. Pure.

Whether a worker has ended is its scheduler's word, and so the owner's. One that names its workers
closed as soon as they run would have them stopped and started for ever, and every start costs the
engine. Within quota that harms nobody's share, but everybody's machine.
"""

from __future__ import annotations

from collections import deque

WINDOW = 60.0
"""Seconds over which starts are counted."""
SPARE = 10
"""Starts in a window beside twice the wished workers: workers that died, an adaptive scale."""


class StartPace:
    """Counts the starts of workers by cluster."""

    def __init__(self) -> None:
        self._starts: dict[str, deque[float]] = {}

    def room(self, cluster: str, wished: int, now: float) -> int:
        """Return how many workers may start now.

        Parameters
        ----------
        cluster
            Name of the cluster.
        wished
            Workers that it shall have in all.
        now
            Seconds of a clock that never goes back.
        """
        starts = self._starts.get(cluster, deque())
        while starts and starts[0] <= now - WINDOW:
            starts.popleft()
        return max(2 * wished + SPARE - len(starts), 0)

    def note(self, cluster: str, now: float) -> None:
        """Count one start."""
        self._starts.setdefault(cluster, deque()).append(now)

    def forget(self, cluster: str) -> None:
        """Drop what is known of a cluster that has ended."""
        self._starts.pop(cluster, None)
