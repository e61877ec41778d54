"""Tokens that somebody else keeps fresh in a file: a Lab without a hub."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from typing import TYPE_CHECKING

from af_labextension.clock import from_the_wall, steady
from af_labextension.errors import NotAnswering
from af_labextension.secret import Secret

from .model import Token, TokenState, is_token

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOOK_AGAIN = 60.0
"""Seconds after which a file is worth another look."""

_LARGEST = 65536
"""Bytes; a larger file is no token."""


class FileTokenProvider:
    """One file, the same token for every audience.

    Parameters
    ----------
    path
        The bearer-token file; ``None``: none was named.
    clock
        Seconds since the epoch.
    """

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = steady) -> None:
        self._path = path
        self._clock = clock
        self._seen: Token | None = None
        self._message: str | None = None

    async def token(
        self,
        audience: str,
        *,
        scope: str = "",  # noqa: ARG002 - one token for all
        min_left: float = 0.0,  # noqa: ARG002 - somebody else renews it
        refused: Token | None = None,
    ) -> Token:
        """Return what the file holds now; see `TokenProvider.token`."""
        if self._path is None:
            raise NotAnswering(
                "no-token-source", "This Lab has no hub and no token file to take a token from."
            )
        now = self._clock()
        try:
            text = await asyncio.to_thread(_read, self._path)
        except (OSError, ValueError) as error:
            self._seen = None
            self._message = f"The token file {self._path} cannot be read. Get a new token into it."
            raise NotAnswering(
                "token-file-unreadable", self._message, detail=type(error).__name__
            ) from error
        token = Token(Secret(text), audience, now, _expiry(text, now))
        self._seen = token
        self._message = None
        if token.seconds_left(now) <= 0 or (refused and refused.value == token.value):
            self._message = f"The token in {self._path} has expired. Get a new one into the file."
            raise NotAnswering("token-expired", self._message)
        return token

    def state(self, audience: str) -> TokenState:
        """Tell how the token in the file stood when it was last read."""
        if self._seen is None:
            return TokenState(
                audience, "error" if self._message else "refreshing", None, self._message
            )
        left = self._seen.seconds_left(self._clock())
        return TokenState(
            audience, "valid" if left > 0 else "expired", self._seen.expires_at, self._message
        )

    def renew_at(self, audience: str) -> float:  # noqa: ARG002 - one file for all
        """Return when the file is worth another look."""
        return self._clock() + _LOOK_AGAIN

    def retry(self) -> None:
        """Nothing pauses: the file is read at each call."""

    async def close(self) -> None:
        """Nothing is held open."""


def _read(path: Path) -> str:
    """Read a file that holds one token."""
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    text = content.decode("ascii").strip()
    if len(content) > _LARGEST or not is_token(text):
        raise ValueError("not a token")
    return text


def _expiry(token: str, now: float) -> float:
    """Read ``exp`` from a JWT for display; the services judge the token, not we."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return from_the_wall(float(claims["exp"]))
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return now + _LOOK_AGAIN
