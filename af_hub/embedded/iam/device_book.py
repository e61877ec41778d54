"""What the development IAM remembers of devices that want to log in (RFC 8628)."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from af_hub.embedded.iam.records import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from af_hub.embedded.iam.people import Person

INTERVAL: Final = 5
"""Seconds between two questions of a device, and what ``slow_down`` adds (RFC 8628, 3.5)."""

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
        self._asked: dict[str, tuple[float, int]] = {}

    def add(self, credential: Credential) -> None:
        """Remember a code; of too many, the oldest is forgotten."""
        with self._lock:
            self._by_hash[credential.hash] = credential
            while len(self._by_hash) > _LIMIT:
                oldest = next(iter(self._by_hash))
                del self._by_hash[oldest]
                self._asked.pop(oldest, None)

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
            self._asked.pop(credential.hash, None)
            return self._by_hash.pop(credential.hash, None) is not None

    def asks_too_often(self, credential: Credential) -> bool:
        """Note a question of a device; tell whether it came before its interval was over."""
        now = self._now()
        with self._lock:
            last, interval = self._asked.get(credential.hash, (float("-inf"), INTERVAL))
            early = now - last < interval
            self._asked[credential.hash] = (now, interval + INTERVAL * early)
        return early
