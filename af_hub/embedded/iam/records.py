"""What the development IAM remembers, as values: codes and tokens.

Tokens and codes are kept as SHA-256 only: a copy of the database opens nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any


def fingerprint(secret: str) -> str:
    """Return what is stored instead of a code, token or session id."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code, with the accessors that Authlib calls."""

    hash: str
    client_id: str
    sub: str
    redirect_uri: str
    scope: str
    audience: str
    nonce: str | None
    challenge: str | None
    method: str | None
    expires_at: float
    auth_time: int | None = None

    @property
    def code_challenge(self) -> str | None:
        """PKCE challenge (RFC 7636)."""
        return self.challenge

    @property
    def code_challenge_method(self) -> str | None:
        """PKCE method, ``plain`` or ``S256``."""
        return self.method

    def get_redirect_uri(self) -> str:
        """Return the redirect URI of the authorization request."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Return the granted scope."""
        return self.scope


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token, with the accessors that Authlib calls."""

    hash: str
    client_id: str
    sub: str
    scope: str
    audience: str
    nonce: str | None
    expires_at: float
    auth_time: int | None = None

    def check_client(self, client: Any) -> bool:
        """Tell whether the token was given to `client`."""
        return bool(client.get_client_id() == self.client_id)

    def get_scope(self) -> str:
        """Return the granted scope."""
        return self.scope


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token that has not been revoked."""

    jti: str
    client_id: str
    sub: str
    scope: str
    refresh: str | None
    expires_at: float
