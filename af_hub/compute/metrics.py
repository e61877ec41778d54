"""Metrics of clusters, for Prometheus: ``api/v1/af/metrics`` of the gateway.

Only for who holds the hub's scope ``read:metrics``, as the hub's own metrics. Label values are
types and groups of the facility file and fixed words; no user is named. `TABLE` lists them all.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from dask_gateway_server.backends.db_base import JobStatus
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from af_hub.compute.quota import RESOURCES
from af_hub.compute.shown import state_of
from af_hub.metrics import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from af_hub.compute.requests import ClusterRequests

SCOPE = "read:metrics"
"""Of the hub; the role of whoever collects its metrics has it."""
OTHER = "(other)"
"""Stands for a type that the facility file does not have any more."""

CLUSTERS = Row("af_dask_clusters", "Clusters that are not over", ("type", "group", "state"))
WORKERS = Row("af_dask_workers", "Workers with a reservation", ("type", "group", "state"))
USED = Row("af_dask_quota_used", "What a group has in use; memory in bytes", ("group", "resource"))
LIMIT = Row("af_dask_quota_limit", "What a group may have at a time", ("group", "resource"))
HELD = Row("af_dask_clusters_held", "Clusters that a quota gives fewer workers than they want")
CREATED = Row("af_dask_clusters_created_total", "Clusters that were made", ("type",))
ENDED = Row("af_dask_clusters_ended_total", "Clusters that are over", ("type", "why"))
REFUSED = Row("af_dask_refusals_total", "Requests for clusters or scales refused", ("reason",))

TABLE = (CLUSTERS, WORKERS, USED, LIMIT, HELD, CREATED, ENDED, REFUSED)
"""Every metric of the gateway."""


class ClusterCollector:
    """Counts when it is asked.

    Parameters
    ----------
    backend
        Whose clusters.
    """

    def __init__(self, backend: ClusterRequests) -> None:
        self._backend = backend

    def collect(self) -> Iterator[Metric]:
        """Give all metrics."""
        yield from self._living()
        yield from self._quotas()
        audit = self._backend.audit
        created = Counter[tuple[str, ...]]()
        for kind, number in audit.created.items():
            created[self._type(kind),] += number
        ended = Counter[tuple[str, ...]]()
        for (kind, why), number in audit.ended.items():
            ended[self._type(kind), why] += number
        yield _total(CREATED, created)
        yield _total(ENDED, ended)
        yield _total(REFUSED, Counter({(code,): n for code, n in audit.refused.items()}))

    def _living(self) -> Iterator[Metric]:
        clusters, workers, held = Counter[tuple[str, ...]](), Counter[tuple[str, ...]](), 0
        for cluster in self._backend.db.name_to_cluster.values():
            if cluster.status >= JobStatus.STOPPED:
                continue
            labels = self._type(cluster.config.cluster_type), self._group(cluster.config)
            clusters[*labels, state_of(cluster)] += 1
            held += self._backend.held(cluster) is not None
            for worker in cluster.workers.values():
                if worker.status < JobStatus.STOPPED:
                    state = "running" if worker.status == JobStatus.RUNNING else "starting"
                    if worker.target != JobStatus.RUNNING:
                        state = "stopping"
                    workers[*labels, state] += 1
        yield _gauge(CLUSTERS, clusters)
        yield _gauge(WORKERS, workers)
        yield GaugeMetricFamily(HELD.name, HELD.meaning, value=held)

    def _quotas(self) -> Iterator[Metric]:
        used, limits = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
        known = self._backend.settings.compute.quotas.groups
        for balance in self._backend.ledger.balances():
            name = balance.account.name
            if balance.account.scope == "group" and name in known:
                for resource in RESOURCES:
                    used[name, resource] = balance.used.of(resource)
                    limit = balance.limits.of(resource)
                    if limit is not None:
                        limits[name, resource] = limit
        yield _gauge(USED, used)
        yield _gauge(LIMIT, limits)

    def _type(self, name: str) -> str:
        return name if self._backend.settings.compute.find(name) is not None else OTHER

    def _group(self, config: dict[str, str]) -> str:
        name = config.get("quota_group") or ""
        return name if name in self._backend.settings.compute.quotas.groups else ""


def _gauge(row: Row, values: Counter[tuple[str, ...]]) -> Metric:
    family = GaugeMetricFamily(row.name, row.meaning, labels=row.labels)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def _total(row: Row, values: Counter[tuple[str, ...]]) -> Metric:
    family = CounterMetricFamily(row.name, row.meaning, labels=row.labels)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def add_metrics(app: web.Application, backend: ClusterRequests) -> None:
    """Serve the metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ClusterCollector(backend))

    async def show(request: web.Request) -> web.Response:
        await _check(request, backend)
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    app.router.add_get("/api/v1/af/metrics", show)


async def _check(request: web.Request, backend: ClusterRequests) -> None:
    """Ask the hub whether the token that is shown has the scope.

    Raises
    ------
    web.HTTPException
        401 without a token, 403 without the scope, 502 if the hub does not answer.
    """
    _, _, token = request.headers.get("Authorization", "").partition(" ")
    if not token:
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
    url = f"{backend.settings.hub_api_url}/user"
    try:
        async with backend.session.get(
            url,
            headers={"Authorization": f"token {token}"},
            timeout=aiohttp.ClientTimeout(total=10),
            allow_redirects=False,
        ) as answer:
            if answer.status >= 500:
                raise web.HTTPBadGateway
            scopes = (await answer.json())["scopes"] if answer.status == 200 else ()
    except (aiohttp.ClientError, TimeoutError, KeyError, TypeError, ValueError) as error:
        raise web.HTTPBadGateway from error
    if SCOPE not in scopes:
        raise web.HTTPForbidden
