"""Labs in pods of a Kubernetes cluster."""

from __future__ import annotations

import inspect
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from traitlets import Float, Unicode

from af_hub.errors import Refusal
from af_hub.spawner.ends.spawner import EndingSpawner
from af_hub.spawner.kube import pod
from af_hub.spawner.kube.fitting import Fitting
from af_hub.spawner.kube.gpus.kinds import places_of
from af_hub.spawner.kube.gpus.spawner import GpuKubeSpawner
from af_hub.spawner.kube.pod_defaults import PodDefaults
from af_hub.spawner.lab_environment import LabFacts, lab_variables
from af_hub.spawner.policy.catalogue import concerning
from af_hub.spawner.policy.reservations import Book, Reservation
from af_hub.spawner.policy.site import Holder, Site
from af_hub.spawner.profile_list.reading import SETTINGS, Member, listed, translated
from af_hub.spawner.record import Record
from af_hub.spawner.refusals import start_refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from af_hub.spawner.policy.offers import Offer
    from af_hub.spawner.policy.plan import Plan


class KubeSpawner(EndingSpawner, PodDefaults, GpuKubeSpawner):
    """Starts Labs in pods, from the profile catalogue.

    The settings of KubeSpawner hold as far as the plan does not set them (image, cores, memory,
    devices). Its ``profile_list`` is read where `profiles` is empty. Pods pass the pod security
    standard "restricted" and hold no token of the cluster.
    """

    book: ClassVar[Book] = Book()

    ca_config_map = Unicode(
        help="""
        ConfigMap with the authorities that Labs trust, key ``ca-bundle.pem``; empty mounts none.

        Set from the facility file (``kubernetes.ca_config_map``), together with the variables that
        name the files.
        """,
    ).tag(config=True)

    reserved_cpu = Float(
        0.25,
        min=0.01,
        max=1,
        help="""
        Part of a Lab's cores that the cluster keeps free for it.

        The default is a quarter: most Labs wait for their user most of the time. 1 promises every
        core, and fewer Labs fit.
        """,
    ).tag(config=True)

    reserved_memory = Float(
        1.0,
        min=0.01,
        max=1,
        help="""
        Part of a Lab's memory that the cluster keeps free for it.

        The default is all of it: a node that has promised too much evicts Labs.
        """,
    ).tag(config=True)

    # what it uses of KubeSpawner, which is untyped
    image: Any

    _fitting: Fitting | None = None
    _plan: Plan | None = None

    async def offers(self, groups: frozenset[str]) -> tuple[Offer, ...]:
        """Find what a member of these groups may have; without a catalogue, of a ``profile_list``."""
        if not self._listed:
            return await super().offers(groups)
        found = self.profile_list
        if callable(found):
            found = found(self)
            if inspect.isawaitable(found):
                found = await found
        counted, limits = concerning(groups, self.limits)
        settings = {name: self._fitted.configured(name) for name in SETTINGS}
        return listed(found, Member(groups, counted, limits), settings)

    def in_our_form(self, raw: object) -> object:
        """Read options as KubeSpawner has them where there is a ``profile_list``."""
        return translated(raw) if self._listed else raw

    @property
    def _listed(self) -> bool:
        """Whether there is a ``profile_list`` and no catalogue."""
        return bool(self.profile_list) and not self.profiles

    async def look_at_site(self) -> Site:
        """Count devices; the rest is the scheduler's: what does not fit waits, with a reason."""
        # devices of a ``profile_list`` hang on options, and are nobody's product
        gpus = None if self._listed else await self.gpu_models()
        return Site(gpus=gpus, queue=self.gpu_queue)

    async def look_at_all(self) -> Site:
        """Count devices, those that this server has, too."""
        site = await self.look_at_site()
        if not site.gpus:
            return site
        names = {each.gpu.product for each in self.profiles if each.gpu and each.gpu.product}
        return replace(site, gpus=self.pool.models(places_of(self.profiles), names))

    async def gpu_holders(self) -> Sequence[Holder]:
        """List who has devices: every pod of the cluster, as far as pods are watched."""
        return self.pool.holders() if self.pool.counted else await super().gpu_holders()

    async def load_user_options(self) -> None:
        """Set what a ``profile_list`` says; policy has read the options long before."""
        if self._plan is not None and self._plan.overrides is not None:
            await self._fitted.override(self._plan.overrides)

    async def start(self) -> str:
        """Start a Lab, if the policy grants it.

        Returns
        -------
        str
            Its address.

        Raises
        ------
        SpawnRefused
            With the policy's reason, or if the cluster does not answer, does not admit the pod or
            ends it.
        """
        # once: it is decrypted each time
        auth_state = await self.user.get_auth_state()
        groups = self.groups_in(auth_state)
        plan = await self.decide(groups)
        # nothing waits from the decision to what is written down, nor from there to the reservation
        self.book.write(self.key, Reservation.of(plan, self.user.name))
        mark = secrets.token_hex(16)
        try:
            await self.admit(plan, mark)
        except Refusal as refusal:
            raise start_refused(self, refusal) from None
        await self.tell_plan(plan)
        self.name_home(auth_state)
        self.record = self._apply(plan, groups, mark)
        self.keep_state()
        try:
            return str(await super().start())
        except Refusal as refusal:
            raise start_refused(self, refusal) from None

    async def poll(self) -> int | None:
        """Tell whether the Lab runs; end it if its time is over.

        Returns
        -------
        int or None
            None while it runs, else an exit code.
        """
        status: int | None = await super().poll()
        if status is None and await self.end_if_over():
            return 0
        return status

    def load_state(self, state: dict[str, Any]) -> None:
        """Find the Lab again, and its devices."""
        super().load_state(state)
        if self.record is not None:
            self.remember_gpus(self.record)

    def _apply(self, plan: Plan, groups: frozenset[str], mark: str = "") -> Record:
        """Write the plan into the spawner; each start begins afresh."""
        record = Record.of(
            plan,
            server=mark or secrets.token_hex(16),
            started_at=int(time.time()),
            cores=(),
            gpus=(),
        )
        self._fit(plan)
        facts = LabFacts(
            user=self.user.name,
            groups=tuple(sorted(groups)),
            profile=plan,
            folders=pod.PLACES,
            mark=record.server,
        )
        variables = lab_variables(self.lab_environment, facts) | pod.pod_variables(plan)
        self._lab_variables = {name: pod.literal(value) for name, value in variables.items()}
        return record

    @property
    def _fitted(self) -> Fitting:
        """What sets traits for one start."""
        self._fitting = self._fitting or Fitting(self)
        return self._fitting

    def _fit(self, plan: Plan) -> None:
        """Set the traits that the plan decides."""
        self._plan, fitted = plan, self._fitted
        fitted.begin()
        if plan.overrides is None:
            fitted.put("cpu_limit", float(plan.cpu))
            fitted.put("cpu_guarantee", plan.cpu * self.reserved_cpu)
            fitted.put("mem_limit", plan.ram)
            fitted.put("mem_guarantee", int(plan.ram * self.reserved_memory))
        if plan.image is not None:
            fitted.put("image", plan.image)
        if plan.hub_url is not None:
            fitted.put("hub_connect_url", plan.hub_url)
        if not plan.home:
            fitted.put("storage_pvc_ensure", False)

    async def get_pod_manifest(self) -> Any:
        """Add our volumes and devices to KubeSpawner's pod, past its formatting."""
        manifest = await super().get_pod_manifest()
        # a hub that is killed from here on finds the pod again
        self.write_state()
        spec = manifest.spec
        lab = next(each for each in spec.containers if each.name == "notebook")
        # else the names of other Services stand in every Lab's environment
        spec.enable_service_links = False
        plan = self._plan
        claim = self.pvc_name if self.storage_pvc_ensure else None
        # a chart may have mounted a home of its own
        taken = {_place(mount) for mount in lab.volume_mounts}
        further = () if plan is None else plan.volumes
        for volume, mount in pod.volumes(claim, self.ca_config_map, further):
            if mount["mountPath"] not in taken:
                spec.volumes.append(volume)
                lab.volume_mounts.append(mount)
        if plan is not None:
            lab.resources.limits = {**(lab.resources.limits or {}), **pod.device_limits(plan)}
            spec.node_selector = {**(spec.node_selector or {}), **pod.node_labels(plan)} or None
            spec.tolerations = [*(spec.tolerations or ()), *pod.tolerations(plan)] or None
            told = manifest.metadata.annotations or {}
            manifest.metadata.annotations = {**dict(plan.annotations), **told}
        return manifest


def _place(mount: Any) -> str:
    """Read where something is mounted; KubeSpawner takes dictionaries and the client's objects."""
    return str(mount.get("mountPath") if isinstance(mount, dict) else mount.mount_path)
