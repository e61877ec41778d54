"""Device flow (RFC 8628): a program in a terminal logs in by a browser somewhere else.

How the real IAM answers here was not observed; this is the RFC, without its ``slow_down``.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidScopeError
from authlib.oauth2.rfc8628 import (
    DEVICE_CODE_GRANT_TYPE,
    DeviceAuthorizationEndpoint,
    DeviceCodeGrant,
)

from af_hub.embedded.iam import policy
from af_hub.embedded.iam.grants import CLIENT_AUTH, Serving
from af_hub.embedded.iam.mint import Order
from af_hub.embedded.iam.records import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from af_hub.embedded.iam.people import Person

DEVICE: Final = DEVICE_CODE_GRANT_TYPE
DEVICE_SECONDS: Final = 600
_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True)
class Credential:
    """A device code and what became of it, with the accessors that Authlib calls.

    Parameters
    ----------
    hash
        Fingerprint of the device code.
    user_code
        What the person types.
    client_id, scope
        What was asked for.
    expires_at
        Seconds since the epoch.
    expired
        Whether that time had come when the credential was looked up.
    sub, approved
        Who decided, and how; None before.
    """

    hash: str
    user_code: str
    client_id: str
    scope: str
    expires_at: float
    expired: bool = False
    sub: str | None = None
    approved: bool | None = None

    def get_client_id(self) -> str:
        """Return whose it is."""
        return self.client_id

    def get_scope(self) -> str:
        """Return the scope that was asked for."""
        return self.scope

    def get_user_code(self) -> str:
        """Return what the person types."""
        return self.user_code

    def is_expired(self) -> bool:
        """Tell whether its time was over."""
        return self.expired


class DeviceBook:
    """The device codes of the last minutes, in memory: a restart forgets them.

    Parameters
    ----------
    now
        The IAM's clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._by_hash: dict[str, Credential] = {}

    def add(self, credential: Credential) -> None:
        """Remember a code; of too many, the oldest is forgotten."""
        with self._lock:
            self._by_hash[credential.hash] = credential
            while len(self._by_hash) > _LIMIT:
                del self._by_hash[next(iter(self._by_hash))]

    def find(self, device_code: str) -> Credential | None:
        """Return what belongs to a device code."""
        with self._lock:
            found = self._by_hash.get(fingerprint(device_code))
        return found and replace(found, expired=found.expires_at < self._now())

    def waiting(self, user_code: str) -> Credential | None:
        """Return what a person may still decide upon."""
        typed = user_code.strip().upper()
        with self._lock:
            for each in self._by_hash.values():
                if each.user_code == typed and each.approved is None:
                    return None if each.expires_at < self._now() else each
        return None

    def decide(self, credential: Credential, person: Person, *, approved: bool) -> None:
        """Remember what a person decided."""
        with self._lock:
            if credential.hash in self._by_hash:
                decided = replace(credential, sub=person.sub, approved=approved)
                self._by_hash[credential.hash] = decided

    def take(self, credential: Credential) -> bool:
        """Forget a code that is redeemed; False if someone was faster."""
        with self._lock:
            return self._by_hash.pop(credential.hash, None) is not None


class DeviceGrant(Serving, DeviceCodeGrant):  # type: ignore[misc]  # Authlib is untyped
    """Redeems a device code that a person has approved."""

    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTH

    def query_device_credential(self, device_code: str) -> Credential:
        """Return what belongs to the code."""
        found = self.devices.find(device_code)
        if found is None:
            raise InvalidGrantError("Invalid device code")
        return found

    def query_user_grant(self, user_code: str) -> tuple[Person, bool] | None:  # noqa: ARG002
        """Return who decided and how, None while nobody has."""
        credential = self.devices.find(self.request.form["device_code"])
        if credential is None or credential.approved is None:
            return None
        person = self.store.person(sub=credential.sub or "")
        return None if person is None else (person, credential.approved)

    def should_slow_down(self, credential: Credential) -> bool:  # noqa: ARG002
        """Bear clients that ask often."""
        return False

    def generate_token(self, user: Person, scope: str, **_: Any) -> dict[str, Any]:
        """Make the tokens."""
        credential: Credential = self.request.credential
        if not self.devices.take(credential):
            raise InvalidGrantError("Invalid device code")
        scopes = policy.permitted(policy.split(scope), user)
        return self.mint.login(
            Order(
                person=user,
                client=self.request.client.config,
                scopes=scopes,
                audience=[],
                id_token="openid" in scopes,
            )
        )


class DeviceEndpoint(DeviceAuthorizationEndpoint):  # type: ignore[misc]  # Authlib is untyped
    """Gives out device codes.

    Parameters
    ----------
    server
        Authlib's server.
    devices
        Where the codes are kept.
    now
        The IAM's clock.
    page
        Address that the person opens.
    """

    CLIENT_AUTH_METHODS = CLIENT_AUTH
    EXPIRES_IN = DEVICE_SECONDS

    def __init__(
        self, server: Any, devices: DeviceBook, now: Callable[[], float], page: str
    ) -> None:
        super().__init__(server)
        self._devices = devices
        self._now = now
        self._page = page

    def create_endpoint_response(self, request: Any) -> Any:
        """Answer a client, if it may ask for the scope."""
        client = self.authenticate_client(request)
        if client.get_allowed_scope(request.payload.scope) is None:
            raise InvalidScopeError
        return super().create_endpoint_response(request)

    def get_verification_uri(self) -> str:
        """Return the address that the person opens."""
        return self._page

    def save_device_credential(self, client_id: str, scope: str, data: dict[str, Any]) -> None:
        """Remember a code."""
        self._devices.add(
            Credential(
                hash=fingerprint(data["device_code"]),
                user_code=data["user_code"],
                client_id=client_id,
                scope=scope or "",
                expires_at=self._now() + DEVICE_SECONDS,
            )
        )
