"""Labs in pods of a Kubernetes cluster."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy.orm import object_session
from traitlets import Float, Unicode, default

from af_hub.errors import Refusal
from af_hub.spawner import pod
from af_hub.spawner.gpus.spawner import GpuKubeSpawner
from af_hub.spawner.lab_environment import LabFacts, lab_variables
from af_hub.spawner.record import Record
from af_hub.spawner.recorded import RecordedSpawner
from af_hub.spawner.refusals import start_refused
from af_hub.spawner.reservations import Book, Reservation
from af_hub.spawner.site import Site

if TYPE_CHECKING:
    from af_hub.spawner.plan import Plan


class KubeSpawner(RecordedSpawner, GpuKubeSpawner):
    """Starts Labs in pods, from the profile catalogue.

    The settings of KubeSpawner hold as far as the plan does not set them (image, cores, memory,
    devices); its ``profile_list`` is not read. Pods pass the pod security standard "restricted" and
    hold no token of the cluster.
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

    _facility_image = ""
    _limits: dict[str, str] = {}
    _labels: dict[str, str] = {}

    @default("cmd")
    def _default_cmd(self) -> list[str]:
        return ["jupyterhub-singleuser"]

    @default("default_url")
    def _default_default_url(self) -> str:
        return "/lab"

    @default("notebook_dir")
    def _default_notebook_dir(self) -> str:
        return str(pod.PLACES.home)

    @default("uid")
    def _default_uid(self) -> int:
        return pod.UID

    @default("gid")
    def _default_gid(self) -> int:
        return pod.GID

    @default("fs_gid")
    def _default_fs_gid(self) -> int:
        """Let the Lab write to its volumes."""
        return pod.GID

    @default("container_security_context")
    def _default_container_security_context(self) -> dict[str, Any]:
        """Pass the pod security standard "restricted"."""
        return dict(pod.CONTAINER_SECURITY)

    @default("automount_service_account_token")
    def _default_automount_service_account_token(self) -> bool:
        """Give users no way into the cluster."""
        return False

    @default("delete_pvc")
    def _default_delete_pvc(self) -> bool:
        """Keep a user's files when somebody removes the user from the hub."""
        return False

    @default("pvc_name_template")
    def _default_pvc_name_template(self) -> str:
        """Name the home volume by the login where it is known, else by the user name."""
        return "home-{username}"

    @default("poll_interval")
    def _default_poll_interval(self) -> int:
        """Look for pods that are gone every 5 s; it asks the hub's own copy, not the cluster."""
        return 5

    @default("start_timeout")
    def _default_start_timeout(self) -> int:
        """Leave time to pull a large image and to add a node."""
        return 300

    async def look_at_site(self) -> Site:
        """Count devices; the rest is the scheduler's: what does not fit waits, with a reason."""
        return Site(gpus=await self.gpu_models(), queue=self.gpu_queue)

    async def load_user_options(self) -> None:
        """Do nothing: options are read by policy, which KubeSpawner's own reading would bypass."""

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
        groups = await self.groups()
        plan = await self.decide(groups)
        # nothing waits from the decision to what is written down, nor from there to the reservation
        self.book.entries[self.key] = Reservation.of(plan, self.user.name)
        mark = secrets.token_hex(16)
        try:
            await self.admit(plan, mark)
        except Refusal as refusal:
            raise start_refused(self, refusal) from None
        await self.tell_plan(plan)
        await self._name_home()
        self.record = self._apply(plan, groups, mark)
        # a hub that is killed from here on finds the pod again
        self.orm_spawner.state = self.get_state()
        if (session := object_session(self.orm_spawner)) is not None:
            session.commit()
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
        if status is None and self.is_over:
            self.log.info("The lifetime of %s is over", self._log_name)
            await self.stop()
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
        self._facility_image = self._facility_image or str(self.image)
        self.image = plan.image or self._facility_image
        self.cpu_limit = float(plan.cpu)
        self.cpu_guarantee = plan.cpu * self.reserved_cpu
        self.mem_limit = plan.ram
        self.mem_guarantee = int(plan.ram * self.reserved_memory)
        self._limits, self._labels = pod.device_limits(plan), pod.device_labels(plan)
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

    async def _name_home(self) -> None:
        """Choose the home volume's name, unless the user has one or the administrator chose."""
        template = self.pvc_name_template
        if not self._pvc_exists and template == self._default_pvc_name_template():
            slug = self._expand_user_properties("{username}")
            self.pvc_name = pod.claim_name(self.user.name, slug, await self.user.get_auth_state())

    async def get_pod_manifest(self) -> Any:
        """Add our volumes and devices to KubeSpawner's pod, past its formatting."""
        manifest = await super().get_pod_manifest()
        spec = manifest.spec
        lab = next(each for each in spec.containers if each.name == "notebook")
        claim = self.pvc_name if self.storage_pvc_ensure else None
        for volume, where, read_only in pod.volumes(claim, self.ca_config_map):
            spec.volumes.append(volume)
            mount = {"name": volume["name"], "mountPath": where, "readOnly": read_only}
            lab.volume_mounts.append(mount)
        lab.resources.limits = {**(lab.resources.limits or {}), **self._limits}
        # else the names of other Services stand in every Lab's environment
        spec.enable_service_links = False
        if self._labels:
            spec.node_selector = {**(spec.node_selector or {}), **self._labels}
        return manifest
