"""Clusters, types and quotas as the Lab shows them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dask_gateway_server.backends.db_base import JobStatus
from dask_gateway_server.utils import timestamp

from af_hub.compute.form import type_json
from af_hub.compute.options import gateway_types

if TYPE_CHECKING:
    from dask_gateway_server.backends.db_base import Cluster
    from dask_gateway_server.models import User

    from af_hub.compute.requests import ClusterRequests

FAILED_SHOWN = 600.0
"""Seconds for which a cluster stays in the list that ended otherwise than by its owner."""
UNKNOWN_REASON = "The cluster could not be started or ended by an error."
"""What is said of a cluster that failed before reasons were kept."""


def snapshot(backend: ClusterRequests, user: User) -> dict[str, Any]:
    """Describe what one user sees: clusters, and the quotas that count."""
    return {
        "clusters": clusters_json(backend, user.name),
        "quotas": backend.ledger.quotas(user.name, user.groups),
    }


async def types_json(backend: ClusterRequests, user: User) -> dict[str, Any]:
    """Describe what one user may make.

    Returns
    -------
    dict
        ``{types, quotas}``: each type as `af_hub.compute.form.type_json`, with `available` and
        `reason`. A backend that fails takes its own types away, no others.
    """
    types = []
    for kind in gateway_types(backend.settings.compute, user.groups):
        image = kind.images.default if kind.images else ""
        try:
            problem = await backend.engines[kind.backend].problem(kind, image)
        except Exception:
            backend.log.exception("The backend of type %s fails", kind.name)
            problem = "This kind of cluster cannot be had now; the others can."
        types.append({**type_json(kind), "available": problem is None, "reason": problem})
    return {"types": types, "quotas": backend.ledger.quotas(user.name, user.groups)}


def clusters_json(backend: ClusterRequests, username: str) -> list[dict[str, Any]]:
    """Describe a user's clusters: all that are not over, and those that ended lately by themselves."""
    mine = backend.db.username_to_clusters.get(username, {})
    return [cluster_json(backend, one) for one in mine.values() if _shown(one)]


def _shown(cluster: Cluster) -> bool:
    if cluster.status < JobStatus.STOPPED:
        return True
    recent = (timestamp() - (cluster.stop_time or 0)) / 1000 < FAILED_SHOWN
    return bool(
        cluster.status == JobStatus.FAILED and recent and not cluster.state.get("dismissed")
    )


def cluster_json(backend: ClusterRequests, cluster: Cluster) -> dict[str, Any]:
    """Describe one cluster.

    Returns
    -------
    dict
        ``{id, name, type, title, site, image, group, state, reason, workers, wanted, held, cores,
        memory, gpus, scale, created_at, ends_at, ends_why, warning, options, token}``: `workers`
        are those connected now, `wanted` is what the scheduler asks for, `held` why it does not get
        it, `cores`, `memory` (bytes) and `gpus` are of the connected workers, times are in seconds
        since the epoch.
    """
    config = cluster.config
    kind = backend.settings.compute.find(config.cluster_type)
    state = state_of(cluster)
    workers = sum(
        one.status == JobStatus.RUNNING and one.target == JobStatus.RUNNING
        for one in cluster.workers.values()
    )
    scale = backend.scale_of(cluster)
    token = backend.token_state(cluster)
    end = backend.end_of(cluster) if cluster.target == JobStatus.RUNNING else None
    return {
        "id": cluster.name,
        "name": f"{config.cluster_type}-{cluster.name[:6]}",
        "type": config.cluster_type,
        "title": kind.title if kind is not None else config.cluster_type,
        "site": kind.site if kind is not None else "",
        "image": config.get("image") or None,
        "group": config.get("quota_group") or None,
        "state": state,
        "reason": cluster.state.get("reason") or (UNKNOWN_REASON if state == "failed" else None),
        "workers": workers if state == "running" else 0,
        "wanted": cluster.count if state == "running" else scale.get("workers"),
        "held": backend.held(cluster) if state == "running" else None,
        "cores": workers * config.worker_cores,
        "memory": workers * config.worker_memory,
        "gpus": workers * (config.get("worker_gpus") or 0),
        "scale": scale,
        "created_at": cluster.start_time / 1000,
        "ends_at": None if end is None else end.at,
        "ends_why": None if end is None else end.why,
        "warning": None if end is None else end.warning(time.time()),
        "options": {
            "worker_cores": config.worker_cores,
            "worker_memory": config.worker_memory,
            "worker_gpus": config.get("worker_gpus") or 0,
        },
        "token": None if token is None else token.as_json(),
    }


def state_of(cluster: Cluster) -> str:
    """Name the state: pending, starting, running, stopping, stopped or failed."""
    if cluster.status == JobStatus.FAILED:
        return "failed"
    if cluster.status == JobStatus.STOPPED:
        return "stopped"
    if cluster.target != JobStatus.RUNNING:
        return "stopping"
    return {JobStatus.CREATED: "pending", JobStatus.SUBMITTED: "starting"}.get(
        cluster.status, "running"
    )
