"""The part of a spawner that remembers what was granted, also over a restart of the hub."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from af_hub.spawner import states
from af_hub.spawner.page.overview import survey
from af_hub.spawner.page.tally import TALLY
from af_hub.spawner.policy.reservations import Reservation
from af_hub.spawner.policy.site import Holder
from af_hub.spawner.profiled import ProfiledSpawner
from af_hub.spawner.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from af_hub.spawner.page.overview import Overview
    from af_hub.spawner.policy.plan import Plan
    from af_hub.spawner.policy.reservations import Book
    from af_hub.spawner.policy.site import Site, Usage


class RecordedSpawner(ProfiledSpawner):
    """Mixin for spawners: count what runs, and give the Lab its variables.

    It stands before a subclass of JupyterHub's ``Spawner`` in the list of bases, and its subclass
    has a book of its own.
    """

    # what it uses of JupyterHub's Spawner, which is untyped
    name: Any

    book: ClassVar[Book]
    """What runs; one hub is one process."""

    record: Record | None = None
    """The running Lab; None while there is none."""

    _lab_variables: dict[str, str] = {}

    @property
    def key(self) -> str:
        """The server's name in the book of reservations."""
        return f"{self.user.name}/{self.name}"

    def usage(self) -> Usage:
        """Say what runs, without this server."""
        return self.book.usage(self.user.name, without=self.key)

    async def gpu_holders(self) -> Sequence[Holder]:
        """List who has devices: servers of this hub, and whatever else can be seen."""
        return [
            Holder(entry.gpu_product or "", entry.gpu_resource, entry.user, entry.gpu)
            for entry in self.book.entries.values()
            if entry.gpu
        ]

    async def look_at_all(self) -> Site:
        """Describe what is free, counting what this server holds, too."""
        return await self.look_at_site()

    @property
    def user_holds_something(self) -> bool:
        """Whether a server of this user runs or starts."""
        return self.book.holds(self.user.name)

    async def glance(self) -> object:
        """Return what all open pages depend on: it differs if they may have to be told."""
        return self.book.version, await self.look_at_all()

    async def overview(self) -> Overview:
        """Say who uses what, for administrators."""
        site, holders = await self.look_at_all(), await self.gpu_holders()
        return survey(self.book.running(), site, holders, self.limits, TALLY.counts())

    async def tell_plan(self, plan: Plan) -> None:
        """Call the administrator's hook with what was granted."""
        if self.plan_hook is not None:
            result = self.plan_hook(self, plan)
            if inspect.isawaitable(result):
                await result

    def get_env(self) -> dict[str, str]:
        """Give the Lab JupyterHub's variables and ours."""
        env: dict[str, str] = super().get_env()  # type: ignore[misc]  # JupyterHub's
        env.update(self._lab_variables)
        env["AF_HUB_API"] = env["JUPYTERHUB_API_URL"].rstrip("/") + "/af"
        return env

    def get_state(self) -> dict[str, Any]:
        """Save what a restarted hub needs to find the Lab again."""
        state: dict[str, Any] = super().get_state()  # type: ignore[misc]  # JupyterHub's
        if self.record is not None:
            state["af"] = self.record.to_state()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Find the Lab again, and what it holds."""
        super().load_state(state)  # type: ignore[misc]  # JupyterHub's
        if "af" in state:
            ours = self.record = Record.from_state(state["af"])
            held = Reservation.of(ours, self.user.name, cores=ours.cores, gpus=ours.gpus)
            self.book.write(self.key, held)

    def keep_state(self) -> None:
        """Have the state written with the next one that is, of whichever server."""
        states.keep(self.orm_spawner, self.get_state())

    def save_state(self) -> None:
        """Write the state to the hub's database now; JupyterHub does so after a start only."""
        self.keep_state()
        self.write_state()

    def write_state(self) -> None:
        """Write what is kept."""
        states.write(self.orm_spawner)

    def clear_state(self) -> None:
        """Forget the Lab and give back what it held."""
        super().clear_state()  # type: ignore[misc]  # JupyterHub's
        states.forget(self.orm_spawner)
        self.book.release(self.key)
        self.record = None
