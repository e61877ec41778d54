"""What programs ask an oidc-agent, and what it answers: JSON in the boxes. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from af_labextension.clock import on_the_wall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from af_labextension.tokens.model import Token

LARGEST = 64 * 1024
"""Bytes of the longest message; a request has a few hundred, a token a few thousand."""

_LONGEST_FIELD = 8192
_LONGEST_LIFE = 10 * 365 * 86400.0


class BadMessage(Exception):
    """What came is not of the protocol; there is nothing to answer to."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """``access_token``.

    Parameters
    ----------
    account
        Name of an account or address of an issuer: ``oidc-token`` sends either in one field;
        empty: any.
    audience, scope
        What the token is to be good for; empty: the default.
    min_left
        Seconds that it should live.
    """

    account: str
    audience: str = ""
    scope: str = ""
    min_left: float = 0.0


@dataclass(frozen=True, slots=True)
class AccountsRequest:
    """``loaded_accounts``: which accounts can be asked for tokens."""


@dataclass(frozen=True, slots=True)
class OtherRequest:
    """Something that this agent does not do, by its name."""

    name: str


Request = TokenRequest | AccountsRequest | OtherRequest


def read_request(text: bytes) -> Request:
    """Read what a program asks.

    Raises
    ------
    BadMessage
        It is no JSON object, or a field is not what it must be.
    """
    fields = _object(text)
    name = _text(fields, "request")
    if name == "access_token":
        return TokenRequest(
            account=_text(fields, "account") or _text(fields, "issuer"),
            audience=_text(fields, "audience"),
            scope=_text(fields, "scope"),
            min_left=_seconds(fields, "min_valid_period"),
        )
    if name in {"loaded_accounts", "account_info"}:
        return AccountsRequest()
    return OtherRequest(name)


def token_request(request: TokenRequest, hint: str) -> bytes:
    """Write what a program asks; `hint` tells the agent's user who it is."""
    fields: dict[str, Any] = {"request": "access_token", "application_hint": hint}
    by_address = request.account.startswith(("https://", "http://"))
    fields["issuer" if by_address else "account"] = request.account
    if request.audience:
        fields["audience"] = request.audience
    if request.scope:
        fields["scope"] = request.scope
    if request.min_left > 0:
        fields["min_valid_period"] = int(request.min_left)
    return json.dumps(fields).encode()


def accounts_request() -> bytes:
    """Write the question for the accounts."""
    return json.dumps({"request": "loaded_accounts"}).encode()


def token_answer(token: Token) -> bytes:
    """Write the answer that holds a token."""
    return json.dumps(
        {
            "status": "success",
            "access_token": token.value.reveal(),
            "issuer": token.issuer,
            "expires_at": int(on_the_wall(token.expires_at)),
        }
    ).encode()


def accounts_answer(accounts: Sequence[str]) -> bytes:
    """Write the names of the accounts."""
    return json.dumps({"status": "success", "info": list(accounts)}).encode()


def failure_answer(sentence: str) -> bytes:
    """Write a refusal; programs show the sentence to their user."""
    return json.dumps({"status": "failure", "error": sentence}).encode()


def _object(text: bytes) -> dict[str, Any]:
    if len(text) > LARGEST:
        raise BadMessage("too long")
    try:
        fields = json.loads(text.rstrip(b"\0"))
    except (ValueError, RecursionError) as error:
        raise BadMessage("not JSON") from error
    if not isinstance(fields, dict):
        raise BadMessage("not an object")
    return fields


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST_FIELD or not value.isprintable():
        raise BadMessage(f"{name} is not a short text")
    return value


def _seconds(fields: dict[str, Any], name: str) -> float:
    value = fields.get(name) or 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadMessage(f"{name} is not a number")
    if not 0 <= value <= _LONGEST_LIFE:  # neither NaN
        raise BadMessage(f"{name} is no length of time")
    return float(value)
