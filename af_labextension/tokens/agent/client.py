"""Tokens from an oidc-agent that the user runs, with the user's own account."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from typing import TYPE_CHECKING, Any

from af_labextension.clock import steady
from af_labextension.errors import LabError, NotAnswering, Refused
from af_labextension.tokens.model import Token, Wanted, token_from_answer

from .messages import BadMessage, TokenRequest, accounts_request, token_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds for one answer: the agent asks its provider for each."""

HINT = "JupyterLab"
"""Who asks, for an agent that makes its user confirm."""

_LARGEST_ANSWER = 256 * 1024
_TOKEN_LIKE = re.compile(r"[A-Za-z0-9._~+/=-]{30,}")


class AgentClient:
    """Ask a real agent.

    Parameters
    ----------
    path
        The agent's socket (``OIDC_SOCK``); ``None``: none was named.
    account
        Name of the account or address of its issuer; empty: the agent's first loaded account.
    audiences
        ``aud`` of tokens, by the Lab's name for it. A name that is not in it gets a token as the
        account has it.
    patience
        Seconds for one answer.
    clock
        Seconds since the epoch.
    """

    def __init__(
        self,
        path: Path | None,
        account: str = "",
        audiences: Mapping[str, str] | None = None,
        *,
        patience: float = PATIENCE,
        clock: Callable[[], float] = steady,
    ) -> None:
        self._path = path
        self._account = account
        self._audiences = dict(audiences or {})
        self._patience = patience
        self._clock = clock

    async def token(self, wanted: Wanted) -> Token:
        """Return a token straight from the agent.

        Callers want `af_labextension.tokens.provider`, which keeps tokens.

        Raises
        ------
        NotAnswering
            ``agent-gone``, ``agent-locked``, ``agent-garbage``, or ``agent-failed`` where the
            agent gets none itself.
        Refused
            ``agent-account``: no such account is loaded.
        """
        request = TokenRequest(
            account=self._account or await self._first_account(),
            audience=self._audiences.get(wanted.audience, ""),
            scope=wanted.scope,
            min_left=wanted.min_left,
        )
        answer = await self._ask(token_request(request, HINT))
        return token_from_answer(
            {**answer, "scope": wanted.scope}, wanted.audience, self._clock(), source="oidc-agent"
        )

    async def _first_account(self) -> str:
        loaded = (await self._ask(accounts_request())).get("info")
        if isinstance(loaded, list) and loaded and isinstance(loaded[0], str):
            return loaded[0]
        raise _no_account()

    async def _ask(self, request: bytes) -> dict[str, Any]:
        """Put one request and return the agent's answer."""
        try:
            async with asyncio.timeout(self._patience):
                text = await self._talk(request)
        except (TimeoutError, OSError, EOFError) as error:
            raise NotAnswering(
                "agent-gone",
                f"oidc-agent does not answer at {self._path or 'OIDC_SOCK'}. Start it with"
                " `oidc-agent`, and load your account with `oidc-add`.",
                detail=type(error).__name__,
            ) from error
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise _garbage() from error
        if not isinstance(answer, dict):
            raise _garbage()
        if answer.get("status") != "success":
            raise _refusal(str(answer.get("error") or ""))
        return answer

    async def _talk(self, request: bytes) -> bytes:
        # with the first question: Labs with a hub never need the library of boxes for this
        from .boxes import KEY_SIZE, Conversation  # noqa: PLC0415

        if self._path is None:
            raise FileNotFoundError
        reader, writer = await asyncio.open_unix_connection(str(self._path))
        try:
            conversation = Conversation()
            writer.write(conversation.key)
            await writer.drain()
            conversation.meet(await reader.readexactly(KEY_SIZE))
            writer.write(conversation.seal(request))
            await writer.drain()
            return conversation.open(await _rest(reader))
        except BadMessage as error:
            raise _garbage() from error
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """Collect the answer; the agent may keep the connection open after it."""
    from .boxes import message_size  # noqa: PLC0415

    gathered = b""
    size: int | None = None
    while size is None or len(gathered) < size:
        more = await reader.read(65536)
        if not more or len(gathered) > _LARGEST_ANSWER:
            raise EOFError
        gathered = (gathered + more).lstrip(b"\0")
        size = message_size(gathered)
    return gathered[:size]


def _refusal(words: str) -> LabError:
    """Name what the agent's words mean; the sentences are those of oidc-agent 4.2.6."""
    low = words.lower()
    # the identity provider's own words may hold the refresh token
    detail = _TOKEN_LIKE.sub("[removed]", words)[:200]
    if "locked" in low:
        return NotAnswering(
            "agent-locked",
            "oidc-agent is locked. Unlock it with `oidc-add --unlock`; the Lab goes on by itself.",
            detail=detail,
        )
    if "not loaded" in low or "no account" in low or "not found" in low:
        return _no_account(detail)
    return NotAnswering(
        "agent-failed",
        f"oidc-agent has no token: {detail or 'it does not say why'}. If it stays so, load the"
        " account again with `oidc-add`, or make it anew with `oidc-gen --reauthenticate`.",
        detail=detail,
    )


def _no_account(detail: str = "") -> LabError:
    return Refused(
        "agent-account",
        "oidc-agent has no such account loaded. Load it with `oidc-add`; the Lab goes on by itself.",
        detail=detail,
    )


def _garbage() -> LabError:
    return NotAnswering(
        "agent-garbage", "What listens at OIDC_SOCK does not speak as oidc-agent does."
    )
