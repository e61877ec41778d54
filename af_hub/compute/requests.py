"""What users ask for: clusters, and how many workers each shall have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dask_gateway_server.backends.base import PublicException
from dask_gateway_server.backends.db_base import JobStatus

from af_hub.compute.config import FacilityClusterConfig, FacilityOptions
from af_hub.compute.ledger import Holding
from af_hub.compute.messages import scale_in, scale_message
from af_hub.compute.options import resolve_scale
from af_hub.compute.states import ClusterStates, worker_amount
from af_hub.errors import AFError, Refusal

if TYPE_CHECKING:
    from dask_gateway_server import models
    from dask_gateway_server.backends.db_base import Cluster

    from af_hub.compute.options import Scale
    from af_hub.compute.quota import Shortage
    from af_hub.compute.relay import TokenState


class ClusterRequests(ClusterStates):
    """Makes and scales clusters for users, as far as types and quotas allow."""

    cluster_config_class = FacilityClusterConfig

    async def get_cluster_options(self, user: models.User) -> FacilityOptions:
        """Return the options of one user."""
        return FacilityOptions(self.settings.compute, user)

    async def start_cluster(self, user: models.User, cluster_options: object) -> str:
        """Make a cluster for Gateway's own route: notebooks scale it afterwards.

        Raises
        ------
        PublicException
            As Gateway's route expects it.
        """
        try:
            cluster = await self.create(user, cluster_options, {"mode": "fixed", "workers": 0})
        except AFError as error:
            raise PublicException(str(error)) from error
        return str(cluster.name)

    async def create(self, user: models.User, options: object, scale: object) -> Cluster:
        """Make a cluster that starts with `scale` workers.

        Parameters
        ----------
        user
            The owner.
        options, scale
            As they came; see `af_hub.compute.options`.

        Returns
        -------
        Cluster
            Pending.

        Raises
        ------
        Refusal
            The request is not allowed or makes no sense, the message names the field; ``quota``
            if there is no room, ``backend-unavailable`` if it can be had at another time.
        """
        try:
            cluster = await self._create(user, options, scale)
        except AFError as error:
            self.audit.was_refused(user.name, "create", error)
            raise
        self.audit.was_created(cluster)
        self.queue.put(cluster)
        self.changed(cluster)
        return cluster

    async def _create(self, user: models.User, options: object, scale: object) -> Cluster:
        form = await self.get_cluster_options(user)
        chosen = form.parse_options(options)
        traits = form.get_configuration(chosen, user)
        kind = self.settings.compute.find(chosen["type"])
        if kind is None:
            raise Refusal("unknown-type", "type: no such kind of cluster.", status=422)
        wanted = resolve_scale(kind, scale)
        problem = await self.problem(kind, chosen["image"])
        if problem is not None:
            raise Refusal("backend-unavailable", problem, status=503)
        # from here on nothing waits: nobody else takes the room that is found
        group = self.ledger.group_of(user.groups)
        traits |= {"initial_scale": wanted.as_json(), "quota_group": group or ""}
        config = self.cluster_config_class(parent=self, **traits).to_dict()
        holding = Holding(user.name, group, worker_amount(config))
        shortage = self.ledger.may_open(holding, wanted.minimum)
        if shortage is not None:
            raise _no_room(shortage)
        cluster = self.db.create_cluster(user.name, chosen, config)
        self.ledger.open(cluster.name, holding)
        return cluster

    async def rescale(self, cluster: Cluster, requested: object) -> None:
        """Change the scale of a cluster.

        Raises
        ------
        Refusal
            ``unknown-option``, ``bad-option``, ``quota``, or ``cluster-ended``.
        """
        try:
            scale = self._checked(cluster, requested)
        except Refusal as error:
            self.audit.was_refused(cluster.username, "scale", error)
            raise
        self._remember(cluster, scale)
        if cluster.status == JobStatus.RUNNING:
            await self._send_scale(cluster, scale)

    def _checked(self, cluster: Cluster, requested: object) -> Scale:
        kind = self.settings.compute.find(cluster.config.cluster_type)
        if kind is None:
            message = "This kind of cluster is not offered any more."
            raise Refusal("unknown-type", message, status=409)
        scale = resolve_scale(kind, requested)
        if cluster.target != JobStatus.RUNNING:
            raise Refusal("cluster-ended", "The cluster is shutting down.", status=409)
        self._check_room(cluster, scale)
        return scale

    def _check_room(self, cluster: Cluster, scale: Scale) -> None:
        more = scale.minimum - self.ledger.workers(cluster.name)
        if more > 0:
            _, shortage = self.ledger.grant(cluster.name, more)
            if shortage is not None:
                raise _no_room(shortage)

    def scale_of(self, cluster: Cluster) -> dict[str, Any]:
        """Return the wanted scale of a cluster in the form of the REST API."""
        found = cluster.state.get("scale") or dict(cluster.config.get("initial_scale") or {})
        return found or {"mode": "fixed", "workers": cluster.count}

    def token_state(self, cluster: Cluster) -> TokenState | None:
        """Return how the cluster's token is; None if it gets none."""
        return self.relay.state(cluster.name)

    async def forward_message_to_scheduler(
        self, cluster: models.Cluster, msg: dict[str, Any]
    ) -> None:
        """Send a message of Gateway's own routes (notebooks scale by them), and remember it."""
        known = self.db.get_cluster(cluster.name)
        scale = scale_in(msg, known.config.get("cluster_max_workers") or 0)
        if scale is not None:
            try:
                self._check_room(known, scale)
            except Refusal as error:
                self.audit.was_refused(known.username, "scale", error)
                raise PublicException(error.message) from error
        await super().forward_message_to_scheduler(cluster, msg)
        if scale is not None:
            self._remember(known, scale)

    def _remember(self, cluster: Cluster, scale: Scale) -> None:
        self.db.update_cluster(cluster, state={**cluster.state, "scale": scale.as_json()})
        self.audit.was_scaled(cluster, scale.as_json())
        self.changed(cluster)

    async def _send_scale(self, cluster: Cluster, scale: Scale) -> None:
        await super().forward_message_to_scheduler(cluster.to_model(), scale_message(scale))

    async def _cluster_to_running(self, cluster: Cluster) -> None:
        await super()._cluster_to_running(cluster)
        self.relay.reached(cluster.name)
        wanted = self.scale_of(cluster)
        kind = self.settings.compute.find(cluster.config.cluster_type)
        if kind is not None and wanted != {"mode": "fixed", "workers": 0}:
            await self._send_scale(cluster, resolve_scale(kind, wanted))


def _no_room(shortage: Shortage) -> Refusal:
    return Refusal("quota", shortage.sentence, status=409)
