"""The part of `af-kube` that devices are about: counted, reserved before the pod, waited for."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from traitlets import Bool, Dict, Float, Integer, Unicode

from af_hub.errors import Refusal
from af_hub.spawner.kube.api_server import away_refusal
from af_hub.spawner.kube.gpus.count import MARK, Place
from af_hub.spawner.kube.gpus.kinds import place_of, places_of, toleration_of
from af_hub.spawner.kube.gpus.pool import Pool
from af_hub.spawner.kube.gpus.watch import GpuWatch
from af_hub.spawner.kube.progress import TellingKubeSpawner
from af_hub.spawner.kube.waiting import line_in_words
from af_hub.spawner.policy.reasons import Reason
from af_hub.spawner.policy.words import duration_in_words

if TYPE_CHECKING:
    from af_hub.spawner.policy.plan import Plan
    from af_hub.spawner.policy.site import GpuModel
    from af_hub.spawner.record import Record

_PATIENCE = 5.0
"""Seconds that the first look at the cluster may take; then a start goes on without."""


class GpuKubeSpawner(TellingKubeSpawner):
    """Gives out a cluster's devices, each one once.

    It stands behind a subclass of `af_hub.spawner.recorded.RecordedSpawner` in the list of bases.
    """

    # what it uses of its neighbours
    log: Any
    key: Any
    profiles: Any

    pool: ClassVar[Pool] = Pool()
    """Devices of the cluster; one hub is one process, and has one cluster."""

    watch: ClassVar[GpuWatch | None] = None

    count_gpus = Bool(
        True,
        help="""
        Whether to count the cluster's graphics processors.

        The hub then needs the right to list and watch nodes, and pods of all namespaces
        (``gpuCounts`` in the values); without it, or if this is false, nothing is counted: the page
        shows no numbers, and a server waits in the cluster for its devices. Set it to false where
        the cluster makes nodes with devices only when a pod asks for them.
        """,
    ).tag(config=True)

    gpu_queue = Bool(
        False,
        help="""
        Whether a start waits in a queue when all devices are taken; otherwise it is refused.

        The next device goes to the group that holds the least for its weight, within the group to
        the user who holds the least, then to who came first. The progress page shows the place.
        A start that waits counts for JupyterHub's ``concurrent_spawn_limit``.
        """,
    ).tag(config=True)

    gpu_queue_timeout = Float(
        1800.0, min=0, help="Seconds that a start may wait in the queue."
    ).tag(config=True)

    gpu_queue_length = Integer(
        50,
        min=1,
        help="""
        How many starts may wait in the queue; a further one is refused.

        Well below JupyterHub's ``concurrent_spawn_limit`` (100), which counts them, too.
        """,
    ).tag(config=True)

    gpu_shares = Dict(
        Float(min=0.001),
        Unicode(),
        help="""
        Group to its weight in the queue, for example ``{"/cms": 2}``; others have 1.

        A start counts for those of its user's groups that the catalogue names.
        """,
    ).tag(config=True)

    _mark = ""
    _plan: Plan | None = None
    _start_timeout: Any = None

    async def gpu_models(self) -> tuple[GpuModel, ...] | None:
        """Count devices that the catalogue's profiles can use, without what this server has.

        Returns
        -------
        tuple of GpuModel or None
            None if nobody counts.
        """
        gpus = [each.gpu for each in self.profiles if each.gpu is not None]
        if not (gpus and self.count_gpus):
            return None if gpus else ()
        watch = self._watching(frozenset(gpu.resource for gpu in gpus))
        if not await watch.ready(_PATIENCE):
            return None
        names = {gpu.product for gpu in gpus if gpu.product}
        return self.pool.models(places_of(self.profiles), names, without=self.key)

    async def admit(self, plan: Plan, mark: str) -> None:
        """Reserve the plan's devices, after waiting for them if there is a queue.

        Nothing waits between this call and the reservation.

        Parameters
        ----------
        plan
            What policy granted.
        mark
            Of this start; its pod will carry it.

        Raises
        ------
        Refusal
            ``gpu-missing``, ``gpu-busy``, ``queue-full``, ``gpu-waiting`` or ``cluster-away``.
        """
        self._mark, self._plan = mark, plan
        if plan.gpu and self.count_gpus:
            await self._admit(plan, place_of(plan), mark)
        # the queue's time is over
        if self._start_timeout is not None:
            self.start_timeout, self._start_timeout = self._start_timeout, None

    async def _admit(self, plan: Plan, place: Place, mark: str) -> None:
        pool = self.pool
        pool.weights = dict(self.gpu_shares)
        if pool.counted:
            _check_stock(plan, pool.stock(place).most)
        elif self.watch is not None and not self.watch.denied:
            # the cluster has not answered yet; what was given before a restart is not known
            raise away_refusal()
        if self.gpu_queue and pool.waiting >= self.gpu_queue_length:
            raise Refusal(
                Reason.QUEUE_FULL,
                f"All {_name(plan)} are in use, and {pool.waiting} starts wait for one already. "
                "Try again later.",
                status=409,
            )
        served = asyncio.Event()
        if pool.ask(
            self.key,
            self.user.name,
            place,
            plan.gpu,
            mark=mark,
            groups=plan.groups,
            when_served=served.set if self.gpu_queue else None,
        ):
            return
        stock = pool.stock(place)
        if not self.gpu_queue:
            raise Refusal(
                Reason.GPU_BUSY,
                f"{stock.free} of {stock.total} {_name(plan)} free now. Try again later.",
                status=409,
            )
        try:
            async with asyncio.timeout(self.gpu_queue_timeout):
                await served.wait()
        except TimeoutError:
            if served.is_set():
                return
            raise Refusal(
                Reason.GPU_WAITING,
                f"No {_name(plan)} became free in "
                f"{duration_in_words(self.gpu_queue_timeout)}. Try again later.",
                status=409,
            ) from None
        finally:
            if not served.is_set():
                pool.release(self.key)

    def waits_for(self) -> str | None:
        """Say which place in the queue a start has."""
        plan = self._plan
        place = self.pool.position(self.key) if plan is not None else None
        if plan is None or place is None:
            return None
        stock = self.pool.stock(place_of(plan))
        return line_in_words(_name(plan), plan.gpu, stock, place)

    async def run_pre_spawn_hook(self) -> Any:
        """Let JupyterHub wait for the queue, too: it reads the timeout when it begins a start."""
        await self.turns.take()
        if self.gpu_queue:
            self._start_timeout = self.start_timeout
            self.start_timeout += int(self.gpu_queue_timeout)
        result = super().run_pre_spawn_hook()
        return await result if inspect.isawaitable(result) else result

    async def get_pod_manifest(self) -> Any:
        """Mark the pod, so that its devices are not counted beside their reservation."""
        manifest = await super().get_pod_manifest()
        plan = self._plan
        if self._mark:
            manifest.metadata.annotations = {
                **(manifest.metadata.annotations or {}),
                MARK: self._mark,
            }
        if plan is not None and plan.gpu:
            toleration = toleration_of(plan.gpu_resource)
            manifest.spec.tolerations = [*(manifest.spec.tolerations or ()), toleration]
        return manifest

    def remember_gpus(self, record: Record) -> None:
        """Find again what a hub before this one gave; whether it is still held, the pod tells."""
        if record.gpu:
            place = Place(record.gpu_resource, record.gpu_product)
            user, number, mark = self.user.name, record.gpu, record.server
            self.pool.restore(self.key, user, place, number, mark=mark, groups=record.groups)

    def clear_state(self) -> None:
        """Give back what the server held or waited for."""
        super().clear_state()
        self.pool.release(self.key)
        self.pool.serve()

    def _watching(self, named: frozenset[str]) -> GpuWatch:
        """Give the hub's one watch."""
        if GpuKubeSpawner.watch is None:
            GpuKubeSpawner.watch = GpuWatch(self.api, self.pool, self.log, named)
        return GpuKubeSpawner.watch


def _check_stock(plan: Plan, most: int) -> None:
    """Refuse what no node will ever have."""
    if plan.gpu > most:
        name = _name(plan)
        have = f"No node here has more than {most} {name}." if most else f"There is no {name} here."
        raise Refusal(Reason.GPU_MISSING, have, status=400)


def _name(plan: Plan) -> str:
    """Name what was asked for."""
    if plan.gpu_product:
        return plan.gpu_product
    resource = plan.gpu_resource
    return "GPU" if resource.endswith("/gpu") else resource.partition("/")[2]
