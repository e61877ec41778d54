"""What a token is in the Lab."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from af_labextension.clock import on_the_wall
from af_labextension.errors import NotAnswering
from af_labextension.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["valid", "refreshing", "expired", "error"]
"""How a token stands, in the words of ``GET af/status``."""

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]{1,65535}=*")
"""The form of a bearer token, RFC 6750 section 2.1."""


def is_token(text: str) -> bool:
    """Tell whether a text has the form of a bearer token, so that it can stand in a header."""
    return _TOKEN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Token:
    """An access token for one audience.

    Parameters
    ----------
    value
        The token itself.
    audience
        Name that the facility gave to the audience, for example ``storage``.
    obtained_at
        When it came in, seconds since the epoch on the Lab's steady clock
        (`af_labextension.clock`).
    expires_at
        When it ends, on the same clock.
    scope
        Granted scopes, separated by spaces.
    issuer
        Address of the identity provider.
    """

    value: Secret
    audience: str
    obtained_at: float
    expires_at: float
    scope: str = ""
    issuer: str = ""

    def seconds_left(self, now: float) -> float:
        """Return the seconds until the token ends; negative afterwards."""
        return self.expires_at - now

    def renew_at(self, share: float = 0.75) -> float:
        """Return the moment when `share` of the token's life has gone."""
        return self.obtained_at + share * (self.expires_at - self.obtained_at)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a token is to be.

    Parameters
    ----------
    audience
        Name that the facility gave to the audience.
    scope
        A part of what the audience's tokens may do, separated by spaces; empty: all of it.
    min_left
        Seconds that it should live, as far as such a token can be had.
    """

    audience: str
    scope: str = ""
    min_left: float = 0.0


@dataclass(frozen=True, slots=True)
class TokenState:
    """What the user sees of a token: never the token.

    Parameters
    ----------
    audience
        Name of the audience.
    state
        ``valid``, ``refreshing``, ``expired`` or ``error``.
    expires_at
        Seconds since the epoch on the steady clock, ``None`` where there is no token.
    message
        What is wrong and what to do, ``None`` where nothing is.
    scope
        What it may do, separated by spaces; empty where that is not known.
    """

    audience: str
    state: State
    expires_at: float | None = None
    message: str | None = None
    scope: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the row of ``GET af/status``."""
        return {
            "audience": self.audience,
            "state": self.state,
            "expires_at": None if self.expires_at is None else on_the_wall(self.expires_at),
            "message": self.message,
            "scope": self.scope,
        }


def token_from_answer(
    answer: Mapping[str, Any], audience: str, now: float, *, source: str = "hub"
) -> Token:
    """Read the answer of the hub to ``GET token?audience=NAME``, or of an oidc-agent.

    The end of life is counted from `now` by ``expires_in``, so that a Lab whose clock is wrong
    still renews in time; ``expires_at`` serves where ``expires_in`` is missing.

    Raises
    ------
    NotAnswering
        ``hub-garbage`` (or of another source): the answer is not what the source promises.
        Nothing in it is repaired.
    """
    value = answer.get("access_token")
    life = answer.get("expires_in")
    if life is None and isinstance(answer.get("expires_at"), int | float):
        life = answer["expires_at"] - on_the_wall(now)
    if (
        not isinstance(value, str)
        or not is_token(value)
        or isinstance(life, bool)
        or not isinstance(life, int | float)
        or not 0 < life < 366 * 86400
    ):
        raise NotAnswering(
            f"{source.removeprefix('oidc-')}-garbage",
            f"The {source} gave an answer that is not a token. Tell the facility's support.",
            detail=f"keys {sorted(map(str, answer))[:20]}",
        )
    return Token(
        value=Secret(value),
        audience=audience,
        obtained_at=now,
        expires_at=now + life,
        scope=str(answer.get("scope") or ""),
        issuer=str(answer.get("issuer") or ""),
    )
