"""Clusters inside the user's server, as the Lab server sees them: found, made, asked, looked after."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from af_labextension.errors import LabError, NotAnswering, Refused

from .kernel_types import KernelTypes
from .kinds_from import from_dask, from_hub
from .manager import caller
from .manager.folder import LIVE, Folder, public
from .manager.starter import start
from .python import KernelPython, missing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from .kinds import Kind
    from .machine import Machine
    from .manager.launch import Plan

log = logging.getLogger(__name__)


class LabClusters:
    """Clusters inside the user's server.

    Parameters
    ----------
    folder, sockets
        Where they are written down, and where their processes listen.
    python
        Runs them.
    machine
        What they may have together.
    most
        How many there may be at a time.
    kinds
        Types that the Lab's own configuration names.
    lab_config
        Gives the hub's description of the facility, with its types; None without a hub.
    changed
        Called when a cluster was made or has ended.
    """

    def __init__(
        self,
        folder: Folder,
        sockets: Path,
        *,
        python: KernelPython,
        machine: Machine,
        most: int = 4,
        kinds: tuple[Kind, ...] = (),
        lab_config: Callable[[], Awaitable[dict[str, Any]]] | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder = folder
        self.machine = machine
        self.changed = changed
        self._sockets = sockets
        self._python = python
        self._most = most
        self._kinds = kinds
        self._lab_config = lab_config
        self._creating = asyncio.Lock()

    @property
    def python(self) -> str:
        """Python that runs clusters."""
        return self._python.path

    # --- types ----------------------------------------------------------------

    async def kinds(self) -> list[Kind]:
        """Return the types, each name once: the hub's, the Lab's, the user's own."""
        found = [*await self._hub_kinds(), *self._kinds]
        if configured := from_dask((await self._python.has()).get("configured")):
            found.append(configured)
        by_name: dict[str, Kind] = {}
        for kind in found:
            by_name.setdefault(kind.name, kind)
        return list(by_name.values())

    async def tell_kernels(self) -> None:
        """Write down for kernels which types there are; a folder that is full is no trouble here."""
        kinds = (*await self._hub_kinds(), *self._kinds)
        told = KernelTypes(self.folder, self._sockets, self._python.path, self._most, kinds)
        try:
            await asyncio.to_thread(told.write)
        except OSError as error:
            log.warning("types for kernels: %s", error)

    async def _hub_kinds(self) -> list[Kind]:
        if self._lab_config is None:
            return []
        try:
            return from_hub(await self._lab_config())
        except LabError as error:
            log.warning("types of the hub: %s %s", error.code, error.detail)
        except (KeyError, TypeError, ValueError) as error:
            log.warning("types of the hub cannot be read: %s", error)
        return []

    async def types(self) -> list[dict[str, Any]]:
        """Return the types as the browser sees them."""
        has = await self._python.has()
        await self.tell_kernels()
        found = []
        for kind in await self.kinds():
            fitted = kind.fitted(self.machine)
            reason = fitted.too_large or missing(has, kind)
            found.append(
                {
                    "name": kind.name,
                    "title": kind.title,
                    "site": kind.site,
                    "description": kind.description,
                    "backend": "in-lab",
                    "options": fitted.schema(),
                    "available": reason is None,
                    "reason": reason,
                }
            )
        return found

    # --- clusters -------------------------------------------------------------

    async def listed(self) -> list[dict[str, Any]]:
        """Return the clusters as the browser sees them."""
        return [public(state) for state in await asyncio.to_thread(self.folder.clusters)]

    async def find(self, cluster: str) -> dict[str, Any]:
        """Return a cluster with its private part.

        Raises
        ------
        Refused
            ``no-cluster``.
        """
        state = await asyncio.to_thread(self.folder.look, cluster)
        if state is None:
            raise Refused("no-cluster", "There is no such cluster.", status=404)
        return state

    async def kind(self, name: str) -> Kind | None:
        """Return a type by its name."""
        return next((kind for kind in await self.kinds() if kind.name == name), None)

    async def make(self, kind: Kind, options: dict[str, Any], scale: Any) -> dict[str, Any]:
        """Make a cluster; returns at once, with a pending one.

        Raises
        ------
        BadRequest
            As `Kind.plan`.
        Refused
            ``too-many``, ``type-unavailable``.
        """
        fitted = kind.fitted(self.machine)
        reason = fitted.too_large or missing(await self._python.has(), kind)
        if reason is not None:
            raise Refused("type-unavailable", f"type: {reason}", status=409)
        plan = kind.plan(options, scale, self.machine)
        async with self._creating:  # else two that come together would both see room for one
            living = [one for one in await self.listed() if one["state"] in LIVE]
            if len(living) >= self._most:
                raise Refused(
                    "too-many",
                    f"Your server has {len(living)} clusters, which is the most. Shut one down"
                    " first.",
                    status=409,
                )
            state = await self._start(plan)
        self.changed()
        return public(state)

    async def _start(self, plan: Plan) -> dict[str, Any]:
        loop = asyncio.get_running_loop()

        def ended() -> None:
            with contextlib.suppress(RuntimeError):  # this server ended before
                loop.call_soon_threadsafe(self.changed)

        try:
            return await asyncio.to_thread(
                start, self._python.path, self.folder, self._sockets, plan, ended
            )
        except OSError as error:
            raise Refused(
                "cannot-start",
                f"The cluster's process cannot be started: {error.strerror or error}.",
                status=500,
            ) from error

    async def scale(self, cluster: str, scale: Any) -> dict[str, Any]:
        """Change the number of workers.

        Raises
        ------
        BadRequest
            As `Kind.checked`.
        LabError
            As `ask`.
        """
        state = await self.find(cluster)
        if scale is None:
            raise Refused("bad-option", "scale is missing.", status=422)
        kind = await self.kind(state["type"])
        if kind is None:
            raise Refused(
                "type-unavailable", "The cluster's type is not offered any more.", status=409
            )
        wanted = kind.checked(scale, state["options"], self.machine)
        changed = await self.ask(state, "scale", scale=wanted)
        self.changed()
        return public(changed)

    async def close(self, cluster: str) -> None:
        """Shut a cluster down; take one that is over off the list."""
        state = await self.find(cluster)
        if state["state"] not in LIVE:
            await asyncio.to_thread(self.folder.forget, cluster)
        else:
            try:
                await self.ask(state, "close")
            except LabError:
                # no way to tell it: a process that is not ready, or one that hangs
                await asyncio.to_thread(self.folder.end, cluster)
        self.changed()

    async def close_connections(self) -> None:
        """Let go of what is under way here; the clusters go on."""
        await self._python.close()

    async def logs(self, cluster: str) -> dict[str, str]:
        """Return logs by name; of a cluster that is over, what its process wrote.

        Raises
        ------
        LabError
            As `ask`.
        """
        state = await self.find(cluster)
        process = await asyncio.to_thread(self.folder.log_tail, cluster)
        if state["state"] != "running":
            return {"process": process}
        # newest first is how distributed gives them
        found = {
            name: "\n".join(reversed(text.splitlines()))
            for name, text in (await self.ask(state, "logs")).items()
        }
        return {**found, "process": process}

    async def ask(self, state: dict[str, Any], what: str, **more: Any) -> Any:
        """Put a question to the process of a cluster.

        Raises
        ------
        NotAnswering
            ``cluster-silent``.
        Refused
            What it says.
        """
        try:
            return await asyncio.to_thread(caller.ask, state, what, **more)
        except caller.SaidNo as error:
            raise Refused(error.code, error.message, status=409) from error
        except caller.NoAnswer as error:
            raise NotAnswering(
                "cluster-silent",
                "The cluster's process does not answer. Try again in a moment.",
                detail=str(error),
            ) from error
