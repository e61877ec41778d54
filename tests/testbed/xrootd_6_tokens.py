"""Kinds of tokens for the cache under test, as values for parametrised tests."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from testbed.xrootd_6 import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _pytest.mark import ParameterSet

    from testbed.xrootd import Stack

HELLO: Final = "/store/cms/hello.txt"
"""What most tests read."""

CMS_READ: Final = "storage.read:/store/cms"

FOREIGN_KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
"""A key that no issuer publishes."""

TIMES: Final = frozenset({"iat", "nbf", "exp"})


@dataclass(frozen=True)
class Kind:
    """One kind of token.

    Parameters
    ----------
    name
        What is special about it.
    allowed
        Whether it opens the file, by the WLCG profile and the cache's configuration.
    scope
        Its scope.
    path
        The file.
    claims
        Claims and options of `testbed.storage.Issuer.token`. Times are in seconds from now; to a
        list of audiences that of the cache is added.
    fault
        Code of the upstream fault by which XRootD answers otherwise.
    """

    name: str
    allowed: bool
    scope: str = CMS_READ
    path: str = HELLO
    claims: dict[str, Any] = field(default_factory=dict)
    fault: str | None = None

    def token(self, stack: Stack) -> str:
        """Return a token of this kind."""
        claims = dict(self.claims)
        for name in TIMES.intersection(claims):
            claims[name] += int(time.time())
        if isinstance(claims.get("aud"), list):
            claims["aud"] = [*claims["aud"], stack.audience]
        return stack.token(self.scope, **claims)


def cases(kinds: Iterable[Kind]) -> list[ParameterSet]:
    """List every kind by every protocol, for arguments ``kind, protocol``."""
    return [
        pytest.param(kind, protocol, id=f"{kind.name}-{protocol}".replace(" ", "_"))
        for kind in kinds
        for protocol in PROTOCOLS
    ]
