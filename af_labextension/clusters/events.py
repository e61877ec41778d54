"""What happens to the clusters, told to all tabs at once.

However many tabs listen, one connection to the gateway serves them, opened with the first and
closed with the last; nobody listening costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from af_labextension.errors import LabError, NotAnswering, Refused

from .model import problem_of
from .service import of_gateway
from .sse import Reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from .service import Clusters

log = logging.getLogger(__name__)

MOST_LISTENERS = 64
"""Tabs at a time."""

LOOK_PAUSE = 0.5
"""Seconds between two looks at the clusters inside the server: some stats of small files."""

OLD_GATEWAY_PAUSE = 2.0
"""Seconds between two questions to a gateway that has no events."""

COALESCE = 0.05
"""Seconds for which changes are gathered."""

PATIENCE = 2.0
"""Seconds for which the clusters inside the server wait for the gateway's to be shown together."""

LONGEST_PAUSE = 10.0
"""Seconds until a gateway that does not answer is tried again, at most."""


class Listener:
    """One tab. It gets the newest state and skips what it was too slow for."""

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self._seen = -1

    async def next(self) -> dict[str, Any]:
        """Wait for the next state that this tab has not seen; the first comes at once."""
        while self._seen == self._broadcast.version or not self._broadcast.ready:
            await self._broadcast.wait()
        self._seen = self._broadcast.version
        return self._broadcast.state


class Broadcast:
    """Tells listeners how all clusters are.

    Parameters
    ----------
    clusters
        What is told about.
    look_pause, old_gateway_pause
        Seconds; a test gives its own.
    """

    def __init__(
        self,
        clusters: Clusters,
        *,
        look_pause: float = LOOK_PAUSE,
        old_gateway_pause: float = OLD_GATEWAY_PAUSE,
    ) -> None:
        self._clusters = clusters
        self._look_pause = look_pause
        self._old_gateway_pause = old_gateway_pause
        self.version = 0
        self._changed = asyncio.Event()
        self._nudged = asyncio.Event()
        self._listeners = 0
        self._following: list[asyncio.Task[None]] = []
        self._gateway: dict[str, Any] | None = None
        self._lab: list[dict[str, Any]] | None = None
        clusters.lab.changed = self.nudge

    @property
    def ready(self) -> bool:
        """Tell whether both kinds of clusters were heard of."""
        return self._gateway is not None and self._lab is not None

    @property
    def state(self) -> dict[str, Any]:
        """The newest state, ``{clusters, quotas, problem}``."""
        gateway = self._gateway or {}
        return {
            "clusters": [*gateway.get("clusters", []), *(self._lab or [])],
            "quotas": gateway.get("quotas", []),
            "problem": gateway.get("problem"),
        }

    async def wait(self) -> None:
        """Wait for a change."""
        await self._changed.wait()
        await asyncio.sleep(COALESCE)

    def nudge(self) -> None:
        """Look again now: something was done here."""
        self._nudged.set()

    @contextmanager
    def listener(self) -> Iterator[Listener]:
        """Give a listener; follow the clusters as long as there is one.

        Raises
        ------
        Refused
            ``too-many-tabs``.
        """
        if self._listeners >= MOST_LISTENERS:
            raise Refused(
                "too-many-tabs", "Too many pages of this Lab are open. Close some.", status=503
            )
        self._listeners += 1
        if self._listeners == 1:
            asyncio.get_running_loop().call_later(PATIENCE, self._no_answer_yet)
            self._following = [
                asyncio.create_task(self._follow_gateway(), name="af-events-gateway"),
                asyncio.create_task(self._follow_lab(), name="af-events-lab"),
            ]
        try:
            yield Listener(self)
        finally:
            self._listeners -= 1
            if self._listeners == 0:
                self._let_go()

    def _no_answer_yet(self) -> None:
        if self._gateway is None and self._listeners:
            self._failed(NotAnswering("gateway-slow", "The Dask service has not answered yet."))

    def _let_go(self) -> None:
        for task in self._following:
            task.cancel()
        self._gateway = self._lab = None

    async def stop(self) -> None:
        """Follow no longer; those who listen are told no more."""
        self._let_go()
        await asyncio.gather(*self._following, return_exceptions=True)

    def _tell(self) -> None:
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    # --- the gateway's --------------------------------------------------------

    async def _follow_gateway(self) -> None:
        gateway = self._clusters.gateway
        if gateway is None:
            self._heard({"clusters": [], "quotas": [], "problem": None})
            return
        pause = 0.5
        while True:
            try:
                async with gateway.events() as pieces:
                    await self._read(pieces)
                pause = 0.5  # it ended the stream in order, as one does that restarts
            except LabError as error:
                if error.status == 404 and error.code != "no-gateway":
                    await self._ask_old_gateway()
                    continue
                if error.code == "no-gateway":
                    self._heard({"clusters": [], "quotas": [], "problem": None})
                else:
                    log.info("events: %s %s", error.code, error.detail)
                    self._failed(error)
            except Exception:
                log.exception("events")
            # spread, or all Labs would come at once to a gateway that has just started
            await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _read(self, pieces: AsyncIterator[bytes]) -> None:
        reader = Reader()
        async for piece in pieces:
            for event in reader.feed(piece):
                if event.name == "clusters":
                    told = json.loads(event.data)
                    self._heard(
                        {
                            "clusters": [of_gateway(one) for one in told["clusters"]],
                            "quotas": told.get("quotas") or [],
                            "problem": None,
                        }
                    )

    async def _ask_old_gateway(self) -> None:
        """Ask once, and wait for the next time: a gateway of before there were events."""
        try:
            clusters = await self._clusters.gateway_clusters()
        except LabError as error:
            self._failed(error)
        else:
            self._heard({"clusters": clusters, "quotas": [], "problem": None})
        await asyncio.sleep(self._old_gateway_pause)

    def _failed(self, error: LabError) -> None:
        known = self._gateway or {"clusters": [], "quotas": []}
        self._heard({**known, "problem": problem_of(error)})

    def _heard(self, told: dict[str, Any]) -> None:
        if told != self._gateway:
            self._gateway = told
            self._tell()

    # --- those inside the server ----------------------------------------------

    async def _follow_lab(self) -> None:
        """Look at the state files, which the clusters' own processes write."""
        while True:
            self._nudged.clear()
            try:
                found = await self._clusters.lab.listed()
            except Exception:  # no fault may end it
                log.exception("clusters in this server")
                found = self._lab or []
            if found != self._lab:
                self._lab = found
                self._tell()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._look_pause):
                    await self._nudged.wait()
