"""The facility's Dask Gateway, as a client of its REST."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from af_labextension.errors import LabError, NotAnswering, Refused
from af_labextension.http import HttpClient

from .pages import Pages, Target
from .stream import opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tornado.httpclient import HTTPResponse

    from af_labextension.hub import HubClient

MAX_ANSWER = 64 * 1024**2
"""Bytes of the largest answer: logs of many workers."""
TIMEOUT = 15.0
"""Seconds for one question."""

_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class Gateway:
    """Ask the gateway as this server's user.

    Parameters
    ----------
    hub
        Tells where the gateway is, and holds the server's hub token, which the gateway takes.
    """

    def __init__(self, hub: HubClient) -> None:
        self._hub = hub
        self.pages = Pages(hub.address.ca_file)
        self._http = HttpClient(ca_file=hub.address.ca_file, max_body_size=MAX_ANSWER)

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Put one question and return the answer's JSON.

        Parameters
        ----------
        path
            Below ``api/v1/af``, with a slash in front.

        Raises
        ------
        NotAnswering
            The gateway does not answer.
        Refused
            The gateway said no; code, sentence and status are the gateway's.
        """
        data = None if body is None else json.dumps(body).encode()
        try:
            response = await self._http.send(
                method,
                await self._url(path),
                headers={**self._headers(), "Content-Type": "application/json"},
                timeout=TIMEOUT,
                body=data,
            )
        except NotAnswering as error:
            raise _silent(error.detail) from error
        return _read(response)

    async def dashboard(self, cluster: str) -> Target:
        """Return where the pages of a cluster's scheduler are fetched."""
        return Target(await self._url(f"/clusters/{cluster}/dashboard"), self._headers())

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Listen to what happens to the user's clusters; leaving the block ends that.

        Raises
        ------
        NotAnswering, Refused
            As `ask`; an older gateway has no events and refuses with status 404.
        """
        url = await self._url("/events")
        context = await self.pages.context() if url.startswith("https:") else None
        headers = {**self._headers(), "Accept": "text/event-stream"}
        try:
            async with opened(url, headers, context) as (status, pieces):
                if status != 200:
                    raise _refusal(status, {})
                yield pieces
        except NotAnswering as error:
            raise _silent(error.detail) from error

    async def _url(self, path: str) -> str:
        gateway = ((await self._hub.lab_config()).get("compute") or {}).get("gateway")
        address = str((gateway or {}).get("address", ""))
        if not re.fullmatch(r"https?://[^\s?#]+", address):
            raise Refused("no-gateway", "This facility has no Dask service.", status=404)
        return f"{address.rstrip('/')}/api/v1/af{path}"

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"jupyterhub {self._hub.api_token.reveal()}"}

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
        self.pages.close()


def _silent(detail: str) -> NotAnswering:
    return NotAnswering(
        "gateway-unreachable",
        "The Dask service does not answer now. Clusters that run go on.",
        detail=detail,
    )


def _read(response: HTTPResponse) -> Any:
    if response.code == 204:
        return None
    try:
        body = json.loads(response.body)
    except ValueError:
        body = None
    if response.code in {200, 201} and isinstance(body, dict):
        return body
    raise _refusal(response.code, body if isinstance(body, dict) else {})


def _refusal(status: int, body: dict[str, Any]) -> LabError:
    code, message = str(body.get("code") or ""), str(body.get("message") or "")[:500]
    if status >= 500 or status < 400:
        return _silent(f"status {status} {code[:64]}")
    if not _CODE.fullmatch(code) or not message:
        code, message = "gateway-refused", f"The Dask service refused with status {status}."
    if status == 401:
        # to the browser, 401 would mean that it is not logged in to the Lab
        status, message = 403, "The Dask service does not take this server's token. Restart it."
    return Refused(code, message, status=status)
