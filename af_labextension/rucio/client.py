"""Ask Rucio with the user's token."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from af_labextension.errors import LabError, NotAnswering, Refused

from .model import SEARCH_LIMIT, Did, scopes_of
from .ndjson import Rows
from .refusals import TOKEN_REFUSED, UNREACHABLE, busy, garbage, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from af_labextension.tokens.model import Token
    from af_labextension.tokens.provider import TokenProvider

    from .exchange import Answer, Patience, Request
    from .settings import RucioPlace, RucioServer

SCHEMES = ("root", "davs")
"""Protocols of the replicas that are asked for."""

MOST_DIDS = 200
"""DIDs of one question for replicas: half a second of a Rucio with a cache, half a minute without."""

STREAMS = 8
"""Answers that are read at once for one Lab; further ones wait."""

_LARGEST_LIST = 16 * 1024 * 1024
_LARGEST_REFUSAL = 16 * 1024

Batch = list[dict[str, Any]]
"""Rows of Rucio's that came together."""


class RucioClient:
    """Rucio's REST interface, as far as a Lab needs it.

    Every method that gives rows gives them as they come. A token that Rucio refuses is replaced
    once; a connection that fails before the answer began is tried once more.

    Parameters
    ----------
    place
        Where Rucio is.
    tokens
        Where tokens come from.
    patience
        How long to wait.
    """

    def __init__(
        self, place: RucioPlace, tokens: TokenProvider, *, patience: Patience | None = None
    ) -> None:
        self._place = place
        self._tokens = tokens
        self._given_patience = patience
        self._free = asyncio.Semaphore(STREAMS)
        self._contexts: dict[str | None, ssl.SSLContext] = {}

    @cached_property
    def _patience(self) -> Patience:
        from .exchange import Patience  # noqa: PLC0415 - not in each start

        return self._given_patience or Patience()

    async def scopes(self) -> list[str]:
        """Return the names of all scopes, sorted."""
        async with self._answer("GET", "scopes/") as answer:
            try:
                return scopes_of(json.loads(await answer.body(_LARGEST_LIST)))
            except (ValueError, RecursionError) as error:
                raise garbage(str(error)) from error

    def search(self, scope: str, pattern: str, kind: str) -> AsyncGenerator[Batch, None]:
        """Give the DIDs of a scope whose names fit: one more than `SEARCH_LIMIT` at most.

        Parameters
        ----------
        scope
            A checked scope.
        pattern
            Rucio's pattern, see `af_labextension.rucio.model.search_pattern`.
        kind
            One of `af_labextension.rucio.model.SEARCH_TYPES`.
        """
        query = urlencode(
            {"name": pattern, "type": kind, "long": "1", "limit": str(SEARCH_LIMIT + 1)}
        )
        scope_part = Did(scope, "dids").path
        return self._rows("GET", f"dids/{scope_part}/search?{query}")

    def contents(self, did: Did) -> AsyncGenerator[Batch, None]:
        """Give what a container (or dataset) holds directly."""
        return self._rows("GET", f"dids/{did.path}/dids")

    def files(self, did: Did) -> AsyncGenerator[Batch, None]:
        """Give all files below a DID, with sizes; a hundred thousand in two seconds."""
        return self._rows("GET", f"dids/{did.path}/files")

    def replicas(self, dids: Sequence[Did]) -> AsyncGenerator[Batch, None]:
        """Give the replicas of files, or of all files of a dataset or container."""
        body = {"dids": [did.as_json() for did in dids], "schemes": list(SCHEMES)}
        return self._rows("POST", "replicas/list", json.dumps(body).encode())

    async def _rows(
        self, method: str, target: str, body: bytes | None = None
    ) -> AsyncGenerator[Batch, None]:
        """Make a request and parse its answer as it comes."""
        rows = Rows()
        async with self._answer(method, target, body) as answer:
            try:
                async with aclosing(answer.pieces()) as pieces:
                    async for piece in pieces:
                        if batch := rows.feed(piece):
                            yield batch
                if batch := rows.close():
                    yield batch
            except ValueError as error:
                raise garbage(str(error)) from error

    @asynccontextmanager
    async def _answer(
        self, method: str, target: str, body: bytes | None = None
    ) -> AsyncIterator[Answer]:
        """Give the answer of a request that Rucio granted."""
        from .exchange import Request  # noqa: PLC0415 - not in each start

        server = await self._place.server()
        async with AsyncExitStack() as stack:
            await self._slot(stack)
            yield await self._opened(stack, server, Request(method, target, {}, body))

    async def _slot(self, stack: AsyncExitStack) -> None:
        """Wait until there is room for one more answer, but not for ever."""
        try:
            async with asyncio.timeout(self._patience.first):
                await stack.enter_async_context(self._free)
        except TimeoutError as error:
            raise busy() from error

    async def _opened(
        self, stack: AsyncExitStack, server: RucioServer, question: Request
    ) -> Answer:
        """Ask, twice at most: with another token, or after a connection that failed."""
        token = await self._tokens.token(server.audience)
        for last in (False, True):
            try:
                return await stack.enter_async_context(
                    self._granted(server, _addressed(server, question, token))
                )
            except Refused as refused:
                if last or refused.code != TOKEN_REFUSED:
                    raise
                token = await self._another(server, token, refused)
            except NotAnswering as error:
                if last or error.code != UNREACHABLE:
                    raise
                await asyncio.sleep(0.3)
        raise AssertionError("unreachable")  # pragma: no cover

    async def _another(self, server: RucioServer, token: Token, refused: Refused) -> Token:
        """Get a newer token in place of a refused one; without one, Rucio's word stands."""
        try:
            another = await self._tokens.token(server.audience, refused=token)
        except LabError as error:
            raise refused from error
        if another.value == token.value:
            raise refused
        return another

    @asynccontextmanager
    async def _granted(self, server: RucioServer, request: Request) -> AsyncIterator[Answer]:
        """Give an answer with status 200; any other is an error."""
        from .exchange import exchange  # noqa: PLC0415 - not in each start

        context = await self._context(server) if server.url.startswith("https:") else None
        async with exchange(request, self._patience, context) as answer:
            if answer.status == 200:
                yield answer
            else:
                raise refusal(answer.status, answer.headers, await answer.body(_LARGEST_REFUSAL))

    async def _context(self, server: RucioServer) -> ssl.SSLContext:
        """Return the settings of TLS; reading a bundle of authorities blocks, so not on the loop."""
        context = self._contexts.get(server.ca_file)
        if context is None:
            try:
                context = await asyncio.to_thread(ssl.create_default_context, cafile=server.ca_file)
            except OSError as error:
                raise LabError(
                    "ca-file",
                    f"The file of trusted authorities {server.ca_file} cannot be read."
                    " Tell the facility's support.",
                    detail=type(error).__name__,
                ) from error
            self._contexts[server.ca_file] = context
        return context


def _addressed(server: RucioServer, question: Request, token: Token) -> Request:
    """Add what every request carries."""
    headers = {
        # Rucio reads no Authorization header
        "X-Rucio-Auth-Token": token.value.reveal(),
        "Accept": "application/x-json-stream, application/json",
        "User-Agent": "analysis-facility-lab",
    }
    if server.account is not None:
        headers["X-Rucio-Account"] = server.account
    if question.body is not None:
        headers["Content-Type"] = "application/json"
    return replace(question, url=f"{server.url}/{question.url}", headers=headers)
