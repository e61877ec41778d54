"""Requests to Dask Gateway's own routes, checked before Gateway reads them.

Gateway (2026.3) takes what is not JSON, or a text where a number belongs, for an error of its own:
a traceback and status 500. Here the field is named, as everywhere.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MOST = 10**6
"""Largest number of workers in a request; the cluster's own limit is lower."""

_FIELDS = {
    "": {"cluster_options": "object"},
    "scale": {"count": "count"},
    "adapt": {"minimum": "count?", "maximum": "count?", "active": "bool"},
}
"""Fields of a request by the end of its path, each with what it holds."""


@web.middleware
async def check_body(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a request to one of Gateway's own routes whose fields make no sense."""
    found = re.search(r"/api/v1/clusters/(?:[^/]+/(scale|adapt))?$", request.path)
    if request.method == "POST" and found is not None:
        problem = problem_of(found[1] or "", await request.read())
        if problem is not None:
            return web.json_response({"error": problem}, status=422)
    return await handler(request)


def problem_of(route: str, raw: bytes) -> str | None:
    """Say what is wrong with a request; None if nothing is."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return "The request is not JSON."
    if not isinstance(body, dict):
        return "The request must be an object."
    known = _FIELDS[route]
    for name, value in body.items():
        if name not in known:
            there = ", ".join(known)
            return f"The request has no field {ascii(name)[:40]}; there are: {there}."
        if not _fits(value, known[name]):
            return f"{name} makes no sense: {_EXPECTED[known[name]]}."
    return None


_EXPECTED = {
    "object": "an object is expected",
    "count": f"a whole number from 0 to {MOST} is expected",
    "count?": f"a whole number from 0 to {MOST}, or null, is expected",
    "bool": "true or false is expected",
}


def _fits(value: Any, kind: str) -> bool:
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "object":
        return value is None or isinstance(value, dict)
    if value is None:
        return kind == "count?"
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST
