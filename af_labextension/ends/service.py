"""Tells the hub when this server was used last, and the page when it will end."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from af_labextension.errors import LabError
from af_labextension.repeating import Repeating

from .activity import leave_out_polls
from .gpus import EVERY, GpuWatch
from .rules import GPU_IDLE, Pace, Use, ends_of, idle_limits, limits_from, told_ends

if TYPE_CHECKING:
    from collections.abc import Callable

    from af_labextension.hub import HubClient

    from .activity import ServerActivity
    from .rules import End, Limit

log = logging.getLogger(__name__)

ASK_AGAIN = 30.0
"""Seconds until the hub is asked again for the limits while it does not answer."""

NEVER = 3600.0
"""Seconds between two looks where there is nothing to look at."""


class EndsService:
    """Knows the server's limits and keeps both sides informed.

    Parameters
    ----------
    hub
        The hub; None in a Lab without one, which has no limits.
    activity
        When this server was used last.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        hub: HubClient | None,
        activity: ServerActivity,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hub = hub
        self._activity = activity
        self._clock = clock
        self._limits: tuple[Limit, ...] | None = None
        self._expires_at: float | None = None
        self._kept_at = 0.0
        self._told: Use | None = None
        self._told_at = 0.0
        self._failed_at = 0.0
        self._not_before: dict[str, float] = {}
        self._gpus: GpuWatch | None = None
        self._reporting = asyncio.Lock()
        self._loop = Repeating("ends", self.look, pause=ASK_AGAIN)

    def start(self) -> None:
        """Begin."""
        if self._hub is not None:
            self._loop.start()

    async def stop(self) -> None:
        """End."""
        await self._loop.stop()
        if self._gpus is not None:
            await asyncio.to_thread(self._gpus.stop)

    def used(self) -> None:
        """Take note that the user does something in the page."""
        self._activity.used()

    async def keep(self) -> None:
        """Take note that the user wants to keep the server, and its devices; tell the hub at once.

        A hub that does not answer ends no idle server, and hears it later.
        """
        self._kept_at = self._clock()
        pace = self._pace
        if pace is not None:
            await self._try_to_report(self.use())

    def use(self) -> Use:
        """Return when this server was used last."""
        active_at = max(self._activity.last(), self._kept_at)
        gpu = self._gpus.active_at if self._gpus is not None else None
        if gpu is None:
            return Use(active_at)
        return Use(max(active_at, gpu), max(gpu, self._kept_at))

    def ends(self) -> tuple[End, ...]:
        """Tell when the server will end if nothing happens, the next time first."""
        return ends_of(self._limits or (), self.use(), self._expires_at, self._not_before)

    def as_json(self) -> dict[str, Any]:
        """Tell the front end: ``ends``, and ``gpus``, the models of the devices."""
        if not self._limits:
            return {"ends": [], "gpus": []}
        return {
            "ends": [end.as_json() for end in self.ends()],
            "gpus": list(self._gpus.names) if self._gpus is not None else [],
        }

    @property
    def _pace(self) -> Pace | None:
        limits = idle_limits(self._limits or ())
        return Pace(limits) if limits else None

    async def look(self) -> float:
        """Look once, and tell the hub if it should know; return the seconds until the next look."""
        if self._limits is None and not await self._learn_limits():
            return ASK_AGAIN
        pace = self._pace
        if pace is None:
            return NEVER
        use, now = self.use(), self._clock()
        due = pace.due(use, self._told, self._told_at, now) or self._kept_at > self._told_at
        # a thousand Labs must not fall upon a hub that comes back
        if due and now - self._failed_at >= pace.repeat_every:
            await self._try_to_report(use)
        return pace.look_every

    async def _learn_limits(self) -> bool:
        """Ask the hub for the limits; they stay as they are while the server runs."""
        if self._hub is None:
            return False
        try:
            server = (await self._hub.known_config()).get("server")
        except LabError as error:
            log.info("limits of this server: %s", error.code)
            return False
        self._limits = limits_from(server)
        self._expires_at = server.get("expires_at") if isinstance(server, dict) else None
        if self._pace is not None:
            leave_out_polls()
        shortest = min((each.limit for each in self._limits if each.why == GPU_IDLE), default=None)
        if shortest is not None:
            self._gpus = GpuWatch(min(EVERY, shortest / 10))
            self._gpus.start()
        return True

    async def _try_to_report(self, use: Use) -> None:
        """Tell the hub; it does not end an idle server that it has not heard from."""
        if self._hub is None:
            return
        async with self._reporting:
            try:
                answer = await self._hub.report_activity(use.active_at, use.gpu_active_at)
            except LabError as error:
                log.info("activity: %s (%s)", error.code, error.detail)
                self._failed_at = self._clock()
                return
            self._told, self._told_at = use, self._clock()
            self._not_before.update(told_ends(answer))
