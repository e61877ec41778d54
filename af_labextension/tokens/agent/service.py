"""Which token a program gets that asks as it would ask an oidc-agent."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from af_labextension.errors import LabError, Refused

from .messages import (
    AccountsRequest,
    TokenRequest,
    accounts_answer,
    failure_answer,
    token_answer,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from af_labextension.tokens.provider import TokenProvider

    from .messages import Request

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Offer:
    """What the facility has tokens for.

    Parameters
    ----------
    issuer
        Address of the identity provider.
    audiences
        ``aud`` of tokens, by the facility's name for it.
    default
        The name that is meant when a program names no audience.
    """

    issuer: str
    audiences: dict[str, str]
    default: str | None


class AgentService:
    """Answer requests from the Lab's tokens.

    Parameters
    ----------
    tokens
        Where tokens come from.
    offer
        Tells what there are tokens for.
    accounts
        Names that programs may know the account by; it is always the user's own.
    """

    def __init__(
        self,
        tokens: TokenProvider,
        offer: Callable[[], Awaitable[Offer]],
        accounts: Sequence[str],
    ) -> None:
        self._tokens = tokens
        self._offer = offer
        self._accounts = tuple(accounts)

    async def answer(self, request: Request) -> bytes:
        """Return the answer to a request; every failure is one with a sentence."""
        try:
            if isinstance(request, TokenRequest):
                return await self._token(request)
        except LabError as error:
            log.info("agent: no token: %s", error.code)
            return failure_answer(str(error))
        if isinstance(request, AccountsRequest):
            return accounts_answer(self._accounts)
        return failure_answer(
            "This is the facility's agent: its account comes with the login to the hub, and cannot"
            " be added, removed or locked here. [agent-fixed]"
        )

    async def _token(self, request: TokenRequest) -> bytes:
        offer = await self._offer()
        known = {*self._accounts, offer.issuer, ""}
        # clients write the issuer with or without the slash at its end
        if request.account not in known and request.account.rstrip("/") not in {
            one.rstrip("/") for one in known
        }:
            raise Refused(
                "agent-account",
                f"There is no account or issuer of that name here; use {self._accounts[0]}.",
            )
        token = await self._tokens.token(
            _audience(offer, request.audience), scope=request.scope, min_left=request.min_left
        )
        return token_answer(replace(token, issuer=token.issuer or offer.issuer))


def _audience(offer: Offer, wanted: str) -> str:
    """Find the facility's name of an audience that was given by name or by its value."""
    if not wanted and offer.default is not None:
        return offer.default
    if wanted in offer.audiences:
        return wanted
    for name, value in offer.audiences.items():
        if wanted == value:
            return name
    raise Refused(
        "unknown-audience",
        "The facility has no tokens for that audience; it has them for "
        + (", ".join(sorted(offer.audiences)) or "none")
        + ".",
    )
