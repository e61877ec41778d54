"""The gateway's own REST beside Dask Gateway's: what the Lab's panel needs in one answer.

All routes lie below ``/services/dask-gateway`` (the hub's proxy passes the whole path on), next to
Dask Gateway's own ones. Errors are ``{code, message}``.

============================================ ==================================================
``GET    api/v1/af/types``                   ``{types: [Type], quotas: [Quota]}``
``GET    api/v1/af/events``                  server-sent events ``clusters``: ``{clusters, quotas}``
``GET    api/v1/af/metrics``                 Prometheus, for the scope ``read:metrics``
``GET    api/v1/af/clusters``                ``{clusters: [Cluster]}``
``POST   api/v1/af/clusters``                ``{options, scale}`` → 201 Cluster, at once, pending
``GET    api/v1/af/clusters/ID``             Cluster
``PATCH  api/v1/af/clusters/ID``             ``{scale}`` → Cluster
``DELETE api/v1/af/clusters/ID``             204
``GET    api/v1/af/clusters/ID/logs?lines=N`` ``{logs: [Log]}``
``GET    api/v1/af/clusters/ID/dashboard/…`` the scheduler's pages, http and websocket
============================================ ==================================================
"""

from __future__ import annotations

import json
from functools import wraps
from typing import TYPE_CHECKING, Any

from aiohttp import web
from dask_gateway_server.backends.base import PublicException
from dask_gateway_server.backends.db_base import JobStatus
from dask_gateway_server.routes import default_routes

from af_hub.compute.bodies import check_body
from af_hub.compute.dashboard import proxy_dashboard
from af_hub.compute.logs import read_lines
from af_hub.compute.metrics import add_metrics
from af_hub.compute.settings import PREFIX
from af_hub.compute.shown import cluster_json, clusters_json, types_json
from af_hub.errors import AFError, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dask_gateway_server.backends.db_base import Cluster

    from af_hub.compute.requests import ClusterRequests

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LARGEST_REQUEST = 16 * 1024
"""Bytes of a request's body; real ones have less than 300."""
CLUSTER = "/api/v1/af/clusters/{cluster:[0-9a-f]{32}}"
"""Path of one cluster."""


def add_routes(app: web.Application, backend: ClusterRequests) -> None:
    """Serve Gateway's own routes and ours below the service's prefix.

    Gateway has no prefix of its own: it expects its proxy to cut it, the hub's proxy does not.
    """
    service = web.Application(client_max_size=LARGEST_REQUEST, middlewares=[check_body])
    for key in ("gateway", "backend", "authenticator", "log"):
        service[key] = backend if key == "backend" else app[key]
    service.add_routes(default_routes)
    service.add_routes(
        [
            web.get("/api/v1/af/types", _handler(list_types)),
            web.get("/api/v1/af/events", _handler(listen)),
            web.get("/api/v1/af/clusters", _handler(list_clusters)),
            web.post("/api/v1/af/clusters", _handler(create_cluster)),
            web.get(CLUSTER, _handler(show_cluster)),
            web.patch(CLUSTER, _handler(scale_cluster)),
            web.delete(CLUSTER, _handler(stop_cluster)),
            web.get(CLUSTER + "/logs", _handler(show_logs)),
            web.get(CLUSTER + "/dashboard/{path:.*}", _handler(show_dashboard)),
        ]
    )
    add_metrics(service, backend)
    app.on_shutdown.append(backend.feed.close)
    app.add_subapp(PREFIX, service)


def _handler(handler: Handler) -> Handler:
    """Let in who the hub knows, and answer every error as ``{code, message}``."""

    @wraps(handler)
    async def inner(request: web.Request) -> web.StreamResponse:
        try:
            answer: web.StreamResponse = await request.app["authenticator"].authenticate_and_handle(
                request, handler
            )
        except AFError as error:
            return _error(error.status, error.code, error.message)
        except PublicException as error:
            return _error(409, "cluster-not-running", str(error)[:300])
        except web.HTTPException as error:
            return _error(error.status, f"http-{error.status}", error.reason)
        return answer

    return inner


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message}, status=status)


async def list_clusters(request: web.Request) -> web.Response:
    """List the user's clusters: all that are not over, and those that failed lately."""
    backend: ClusterRequests = request.app["backend"]
    return web.json_response({"clusters": clusters_json(backend, request["user"].name)})


async def list_types(request: web.Request) -> web.Response:
    """List what the user may make, whether it can be had now, and the quotas that count."""
    backend: ClusterRequests = request.app["backend"]
    return web.json_response(await types_json(backend, request["user"]))


async def listen(request: web.Request) -> web.StreamResponse:
    """Push the user's clusters at each change."""
    return await request.app["backend"].feed.serve(request, request.app["authenticator"])  # type: ignore[no-any-return]


async def create_cluster(request: web.Request) -> web.Response:
    """Make a cluster; it is pending when the answer goes out."""
    backend: ClusterRequests = request.app["backend"]
    body = await _body(request, ("options", "scale"))
    cluster = await backend.create(request["user"], body.get("options", {}), body.get("scale"))
    return web.json_response(cluster_json(backend, cluster), status=201)


async def show_cluster(request: web.Request) -> web.Response:
    """Answer with one cluster."""
    return web.json_response(cluster_json(request.app["backend"], _own(request)))


async def scale_cluster(request: web.Request) -> web.Response:
    """Change the number of workers."""
    backend: ClusterRequests = request.app["backend"]
    cluster = _own(request)
    body = await _body(request, ("scale",))
    if body.get("scale") is None:
        raise Refusal("bad-option", "scale is missing.", status=422)
    await backend.rescale(cluster, body["scale"])
    return web.json_response(cluster_json(backend, cluster))


async def stop_cluster(request: web.Request) -> web.Response:
    """Shut a cluster down; take one that failed off the list."""
    backend: ClusterRequests = request.app["backend"]
    cluster = _own(request)
    if cluster.status >= JobStatus.STOPPED:
        backend.db.update_cluster(cluster, state={**cluster.state, "dismissed": True})
    await backend.stop_cluster(cluster.name)
    return web.Response(status=204)


async def show_logs(request: web.Request) -> web.Response:
    """Answer with the ends of the logs of scheduler and workers."""
    cluster = _own(request)
    lines = read_lines(request.query.get("lines"))
    logs = await request.app["backend"].failures.logs(cluster, lines)
    return web.json_response({"logs": [log.as_json() for log in logs]})


async def show_dashboard(request: web.Request) -> web.StreamResponse:
    """Pass a page of the scheduler on to the cluster's owner."""
    cluster = _own(request)
    if cluster.status != JobStatus.RUNNING:
        raise Refusal("cluster-not-running", "The cluster is not running.", status=409)
    return await proxy_dashboard(
        request, request.app["backend"].session, cluster, request.match_info["path"]
    )


def _own(request: web.Request) -> Cluster:
    """Return the cluster of the path; another user's is answered like one that is not there."""
    cluster = request.app["backend"].db.get_cluster(request.match_info["cluster"])
    if cluster is None or not request["user"].has_permissions(cluster):
        raise Refusal("no-cluster", "There is no such cluster.", status=404)
    return cluster


async def _body(request: web.Request, known: tuple[str, ...]) -> dict[str, Any]:
    try:
        body = json.loads(await request.text())
    except (ValueError, RecursionError) as error:
        raise Refusal("bad-request", "The request is not JSON.", status=400) from error
    if not isinstance(body, dict):
        raise Refusal("bad-request", "The request must be an object.", status=400)
    for key in body:
        if key not in known:
            raise Refusal(
                "unknown-option",
                f"The request has no field {ascii(key)[:40]}; there are: {', '.join(known)}.",
                status=422,
            )
    return body
