"""``POST /hub/api/af/activity``: a Lab says when it was used last, and learns when it will end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tornado import web

from af_hub.errors import Refusal
from af_hub.facility.own_server import OwnServerHandler
from af_hub.spawner.ends.reports import MOST_BYTES, read_report

if TYPE_CHECKING:
    from collections.abc import Awaitable


@web.stream_request_body
class ActivityHandler(OwnServerHandler):
    """Take the report of a user's own server, and nobody else's."""

    def initialize(self) -> None:
        """Begin with nothing read."""
        self._body = bytearray()

    def prepare(self) -> Awaitable[None] | None:
        """Let nobody send more than a report is, before anything of it is read."""
        self.request.connection.set_max_body_size(MOST_BYTES)
        result: Awaitable[None] | None = super().prepare()
        return result

    def data_received(self, chunk: bytes) -> None:
        """Keep what came."""
        self._body += chunk

    async def post(self) -> None:
        """Take it, and answer ``{"ends": [{"why", "at", "limit", "lead"}]}``, the next one first.

        Raises
        ------
        web.HTTPError
            400 for what is no report, 401 without a token, 403 for a token that is not a running
            server's own.
        """
        spawner: Any = self.asking_server()
        try:
            report = read_report(bytes(self._body))
        except Refusal as error:
            raise web.HTTPError(error.status, error.message) from None
        ends = []
        if hasattr(spawner, "hear"):
            spawner.hear(report)
            ends = [end.as_json() for end in spawner.ends()]
        self.set_header("Cache-Control", "no-store")
        self.write(json.dumps({"ends": ends}))
