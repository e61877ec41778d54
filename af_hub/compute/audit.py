"""Audit of clusters: lines in the gateway's log, and the counters of `af_hub.compute.metrics`.

The lines are as those of `af_hub.audit`: ``audit: NAME {JSON}``. They hold names and codes, never
a token nor what a user typed.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import logging

    from dask_gateway_server.backends.db_base import Cluster

    from af_hub.errors import AFError

Why = Literal["owner", "scheduler", "idle", "lifetime", "failed"]
"""Why a cluster ended: its owner shut it down, its scheduler asked for it (which only its owner can
make it do), one of the type's limits was reached, or something failed."""


class ClusterAudit:
    """Writes and counts what happens to clusters.

    Parameters
    ----------
    log
        The gateway's logger.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self.created: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.ended: Counter[tuple[str, str]] = Counter()

    def was_created(self, cluster: Cluster) -> None:
        """Tell of a new cluster."""
        kind = cluster.config.cluster_type
        self.created[kind] += 1
        self._emit("cluster-created", **_facts(cluster), options=cluster.options)

    def was_refused(self, username: str, what: Literal["create", "scale"], error: AFError) -> None:
        """Tell of a request that was refused."""
        self.refused[error.code] += 1
        self._emit("cluster-refused", username=username, what=what, reason=error.code)

    def was_scaled(self, cluster: Cluster, scale: dict[str, Any]) -> None:
        """Tell of another wished number of workers."""
        self._emit("cluster-scaled", **_facts(cluster), scale=scale)

    def was_ended(self, cluster: Cluster, why: Why, seconds: float) -> None:
        """Tell of a cluster of which nothing is left, `seconds` after it was made."""
        self.ended[cluster.config.cluster_type, why] += 1
        self._emit("cluster-ended", **_facts(cluster), why=why, seconds=round(seconds))

    def _emit(self, name: str, **data: Any) -> None:
        self._log.info("audit: %s %s", name, json.dumps(data))


def _facts(cluster: Cluster) -> dict[str, Any]:
    return {
        "username": cluster.username,
        "cluster": cluster.name,
        "type": cluster.config.cluster_type,
        "group": cluster.config.get("quota_group") or None,
    }
