"""What the progress page tells while a server starts."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from af_hub.spawner.kube.lasting import LastingKubeSpawner
from af_hub.spawner.kube.waiting import event_in_words, gates_in_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_LOOK_EVERY = 1.0
"""Seconds between two looks at what has happened."""


class TellingKubeSpawner(LastingKubeSpawner):
    """Tells in words what a start waits for."""

    def waits_for(self) -> str | None:
        """Say what a start waits for before it has a pod; None: for nothing."""
        return None

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Tell each thing once, as long as the server starts.

        Yields
        ------
        dict
            ``progress`` in percent and ``message``.
        """
        told: dict[str, int] = {}
        last, percent, begin, patience = None, 0.0, time.monotonic(), 0.0
        while True:
            over = self.pending != "spawn"
            waits = self.waits_for()
            if waits is not None and waits != last:
                yield {"progress": int(percent), "message": waits}
            last = waits
            for message in self._news(told):
                # nobody knows how many will come: ever smaller steps towards 90
                percent += (90 - percent) / 3
                yield {"progress": int(percent), "message": message}
            if over:
                return
            elapsed = time.monotonic() - begin
            if 0 < self.slow_spawn_message_threshold <= elapsed and elapsed >= patience:
                patience = elapsed + self.slow_spawn_message_frequency
                yield {"message": self.slow_spawn_message.strip().format(seconds=int(elapsed))}
            await asyncio.sleep(_LOOK_EVERY)

    def _news(self, told: dict[str, int]) -> Iterator[str]:
        """Write what has not been told yet."""
        pod = self._pod
        gates = None if pod is None else gates_in_words(pod)
        if gates is not None and gates not in told:
            told[gates] = 1
            yield gates
        for event in self.told:
            if told.get(event.uid) != event.count:
                told[event.uid] = event.count
                yield event_in_words(event)
