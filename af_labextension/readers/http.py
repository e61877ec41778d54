"""Show the facility's https doors the token of the moment with each request of fsspec.

uproot reads ``https://`` through fsspec, and so do coffea, Dask and pandas. A header that the user
gives is left alone. The token goes to the doors in ``AF_DOORS`` only: never over plain http, and
never to where a redirect leads, unless that is a door as well.
"""

from __future__ import annotations

import os
from functools import cache, wraps
from typing import Any

from .doors import VARIABLE, audience_for, bearer_for
from .patience import Patience


async def with_token(request: Any, send: Any) -> Any:
    """Add the token to one request; a middleware of aiohttp, which asks it for each redirect."""
    audience = audience_for(str(request.url), os.environ)
    if audience is not None and "Authorization" not in request.headers:
        bearer = await _patience(audience).ready()
        if bearer is not None:
            token = bearer.token.decode("ascii", "ignore")
            request.headers["Authorization"] = f"Bearer {token}"
    return await send(request)


@cache
def _patience(audience: str) -> Patience:
    return Patience(lambda: bearer_for(audience, os.environ))


def mend(http: Any) -> None:
    """Mend ``fsspec.implementations.http``."""
    if not hasattr(http.aiohttp, "ClientMiddlewareType"):  # before aiohttp 3.12
        return
    plain, own_client = http.HTTPFileSystem.__init__, http.get_client

    @wraps(plain)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it replaces one
        plain(self, *args, **kwargs)
        # what is not fsspec's own client may not know middlewares
        if os.environ.get(VARIABLE) and self.get_client is own_client:
            given = self.client_kwargs.get("middlewares", ())
            self.client_kwargs = {**self.client_kwargs, "middlewares": (*given, with_token)}

    http.HTTPFileSystem.__init__ = __init__
