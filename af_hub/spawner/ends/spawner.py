"""The part of a spawner that ends servers by themselves, and keeps what their Labs say."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

from traitlets import Float

from af_hub import metrics
from af_hub.audit import audit_of
from af_hub.spawner.ends.farewells import Ended
from af_hub.spawner.ends.rules import WHYS, Activity, Limits, Seen, ends_of, heard
from af_hub.spawner.recorded import RecordedSpawner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from af_hub.spawner.ends.rules import End, Report
    from af_hub.spawner.page.content import Page
    from af_hub.spawner.policy.offers import Offer
    from af_hub.spawner.policy.plan import Plan

metrics.expect_ends(WHYS)

_SAVE_EVERY = 60.0
"""Seconds; a thousand busy Labs must not keep the database busy."""


class EndingSpawner(RecordedSpawner):
    """Mixin for spawners: know when the server ends by itself, and end it then.

    It stands before a subclass of JupyterHub's ``Spawner`` in the list of bases. The spawner calls
    `end_if_over` whenever it polls.
    """

    # what it uses of JupyterHub's Spawner, which is untyped
    stop: Any
    _log_name: Any

    activity_lag = Float(
        330.0,
        min=0,
        help="""
        Seconds by which the hub may know later of activity than it happened.

        It counts for Labs without our extension only, for which JupyterHub's own account of their
        activity has to do. JupyterHub asks the proxy every 300 s
        (``JupyterHub.last_activity_interval``), and servers tell it every 300 s, 10 % more or less.
        """,
    ).tag(config=True)

    activity: Activity | None = None
    """What the Lab has said; None before it has said anything."""

    ended: Ended | None = None
    """How the last server ended by itself; None if it did not, or was started again."""

    _looked_after_since: float = 0.0
    _saved_at: float = 0.0
    _ending: bool = False

    @property
    def end_limits(self) -> Limits | None:
        """What ends the running Lab; None while there is none."""
        return self.record.limits if self.record is not None else None

    def ends(self) -> tuple[End, ...]:
        """Tell when the running Lab will end by itself, the next time first."""
        limits = self.end_limits
        if limits is None:
            return ()
        seen = Seen(self._hub_active_at(), self.activity_lag, self._looked_after_since)
        return ends_of(limits, self.activity, seen, time.time())

    def _hub_active_at(self) -> float | None:
        """Read JupyterHub's own account of the last activity, which is in UTC without saying so."""
        moment = self.orm_spawner.last_activity if self.orm_spawner else None
        return None if moment is None else float(moment.replace(tzinfo=UTC).timestamp())

    def hear(self, report: Report) -> None:
        """Take what the running Lab says, and save it once in a while."""
        limits, now = self.end_limits, time.time()
        if limits is None:
            return
        self.activity = heard(limits, self.activity, report, now)
        if now - self._saved_at >= _SAVE_EVERY:
            self._saved_at = now
            self.save_state()

    async def end_if_over(self) -> bool:
        """Stop the Lab if its time has come; tell the log, the audit and the user why.

        Returns
        -------
        bool
            Whether it was stopped.
        """
        # `stop` polls, too
        next_end = None if self._ending else next(iter(self.ends()), None)
        if next_end is None or not next_end.over(time.time()):
            return False
        self._ending = True
        ended = Ended(time.time(), next_end.limit)
        profile = self.record.profile if self.record else ""
        self.log.info("%s ends by itself: %s", self._log_name, ended.words)
        try:
            await self.stop()
        finally:
            self._ending = False
        # JupyterHub saves the state of a server that has ended
        self.ended = ended
        audit_of(self).server_ended(
            self.user.name, self.name, profile, ended.limit.why, ended.limit.limit
        )
        return True

    async def tell_plan(self, plan: Plan) -> None:
        """Begin anew: nothing is known of this start yet."""
        self.activity = None
        self._looked_after_since = time.time()
        self.ended = None
        await super().tell_plan(plan)

    async def page(self, offered: Sequence[Offer] | None = None) -> Page:
        """Say on the spawn page, too, why the last server ended."""
        page = await super().page(offered)
        return replace(page, ended=self.ended)

    def get_state(self) -> dict[str, Any]:
        """Save what the Lab has said, too, and why the last one ended."""
        state = super().get_state()
        if self.ended is not None:
            state["af_ended"] = self.ended.to_state()
        if self.record is not None and self.activity is not None:
            state["af_activity"] = self.activity.to_state()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Find it again; the Lab has to say it to this hub before it is ended."""
        super().load_state(state)
        now = self._looked_after_since = time.time()
        if "af_activity" in state:
            self.activity = Activity.from_state(state["af_activity"], now)
        if "af_ended" in state:
            self.ended = Ended.from_state(state["af_ended"])

    def clear_state(self) -> None:
        """Forget the Lab, but not why it ended."""
        super().clear_state()
        self.activity = None
