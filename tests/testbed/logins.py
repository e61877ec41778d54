"""Logins of the hub without a browser: users in memory, and tokens that IAM knows as its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from af_hub.embedded.iam.records import RefreshToken, fingerprint
from af_hub.iam.session import Login
from af_hub.secret import Secret
from testbed.iam import LOGIN_SCOPE

if TYPE_CHECKING:
    from af_hub.embedded.iam.people import Person
    from af_hub.embedded.iam.store import Store


@dataclass
class MemoryUser:
    """A hub user whose auth_state lies in memory."""

    name: str
    state: dict[str, Any] | None

    async def get_auth_state(self) -> dict[str, Any] | None:
        """Read."""
        return self.state

    async def save_auth_state(self, auth_state: dict[str, Any] | None) -> None:
        """Write."""
        self.state = auth_state


def expired_login(store: Store, person: Person, issuer: str, refresh: str) -> Login:
    """Return a login whose access token has ended, and let IAM know its refresh token.

    Parameters
    ----------
    store
        IAM's; in a transaction where there are many.
    person
        Who has logged in.
    issuer
        IAM's address.
    refresh
        The refresh token.
    """
    store.add_token(
        RefreshToken(
            hash=fingerprint(refresh),
            client_id="af-hub",
            sub=person.sub,
            scope=LOGIN_SCOPE,
            audience="",
            nonce=None,
            expires_at=time.time() + 86_400,
        )
    )
    return Login(
        access_token=Secret("expired"),
        refresh_token=Secret(refresh),
        id_token=None,
        expires_at=time.time() - 1,
        scope=LOGIN_SCOPE,
        iss=issuer,
        sub=person.sub,
        name=person.name,
        groups=tuple(f"/{group}" for group in sorted(person.groups)),
        checked_at=time.time() - 3600,
    )
