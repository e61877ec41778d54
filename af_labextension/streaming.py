"""What takes long and comes in pieces: answers that end when the browser leaves, and NDJSON."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tornado.iostream import StreamClosedError

from .errors import BadRequest, LabError
from .handler import FacilityHandler
from .rows import as_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from .rows import Page


class StreamingHandler(FacilityHandler):
    """A handler that works as long as somebody waits for it."""

    _work: asyncio.Task[None] | None = None

    async def attended(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what may take long, as long as the browser waits for it."""
        task = self._work = asyncio.create_task(work)
        try:
            await task
        except StreamClosedError:
            return  # the browser went on
        except asyncio.CancelledError:
            if not task.cancelled():
                # it is the server that ends, or the like
                task.cancel()
                raise

    def on_connection_close(self) -> None:
        """Stop when the browser leaves, also while the other side is still thinking."""
        super().on_connection_close()
        if self._work is not None:
            self._work.cancel()

    def argument(self, name: str, default: str = "") -> str:
        """Return a value of the query to the letter; tornado's own reader would strip it.

        Raises
        ------
        BadRequest
            ``bad-query``.
        """
        try:
            query = parse_qs(self.request.query, keep_blank_values=True, errors="strict")
        except ValueError as error:
            raise BadRequest("bad-query", "This question is not UTF-8.") from error
        return query.get(name, [default])[-1]

    async def stream(self, pages: AsyncGenerator[Page, None]) -> None:
        """Send rows as NDJSON; the last line says ``done`` or tells the error.

        An error before the first row is an ordinary answer with its status.
        """
        await self.attended(self._send_all(pages))

    async def _send_all(self, pages: AsyncGenerator[Page, None]) -> None:
        count, said = 0, dict[str, Any]()
        try:
            async with aclosing(pages):
                async for page in pages:
                    count += page.count
                    said = dict(page.said)
                    await self._send(page.ndjson)
        except LabError as error:
            if not count:
                raise
            self.log_exception(type(error), error, None)
            await self._send(as_line({"error": error.as_json()}))
        else:
            await self._send(as_line({"done": True, "count": count, **said}))
        self.finish(set_content_type="application/x-ndjson")

    async def _send(self, lines: bytes) -> None:
        """Send lines, and wait until the browser took them: memory stays small."""
        if lines:
            self.set_header("Content-Type", "application/x-ndjson")
            self.write(lines)
            await self.flush()
