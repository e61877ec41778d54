"""Three things that Rucio 41 does otherwise than a facility on one machine needs."""

from __future__ import annotations

from typing import Any

from oic.exception import PyoidcError
from oic.oic import Client
from rucio.common.exception import CannotAuthenticate
from rucio.core import oidc, replica_sorter
from rucio.gateway.authentication import validate_auth_token
from rucio.web.rest.flaskapi.v1 import common


class TolerantClient(Client):  # type: ignore[misc]  # untyped upstream
    """A client that finds the issuer's keys under the name that access tokens carry.

    Rucio looks keys up by the token's ``iss``; pyoidc keeps them under the issuer of the discovery
    document. INDIGO IAM 1.12 ends with a slash in discovery always, in access tokens only if it
    was configured so, and then Rucio refuses every token. pyoidc itself takes both for the same.
    """

    def provider_config(self, issuer: str, *arguments: Any, **more: Any) -> Any:
        """Fetch discovery and keys, and make the keys known under `issuer` as it was given.

        Raises
        ------
        PyoidcError
            The issuer gave no key. Rucio then asks again at the next token; it would keep a client
            without keys for twelve hours.
        """
        answer = super().provider_config(issuer, *arguments, **more)
        self.keyjar.issuer_keys[issuer] = self.keyjar.issuer_keys[self.issuer]
        if not self.keyjar.get_issuer_keys(issuer):
            raise PyoidcError("the issuer gave no key")
        return answer


def by_priority(replicas: dict[str, Any], *_: Any, **__: Any) -> list[str]:
    """Return addresses of replicas in the order of their RSEs' priorities, as they came.

    Rucio's default is the distance on the globe, by a licensed database that it looks for in the
    folder for temporary files, where any user could put one, and misses aloud for every address.
    """
    return list(replicas)


def validate_twice(token: str) -> dict[str, Any]:
    """Check a token, and once more if it is refused.

    Rucio writes a token that it sees for the first time into its database. Of several first
    requests at once, as a panel makes them, one writes it and Rucio 41 answers 401 to the others:
    their row is there already. The second time they find it.

    Raises
    ------
    CannotAuthenticate
        It is not good.
    """
    try:
        found: dict[str, Any] = validate_auth_token(token)
    except CannotAuthenticate:
        found = validate_auth_token(token)
    return found


def adjust() -> None:
    """Put all in place; before the first request."""
    common.validate_auth_token = validate_twice
    oidc.Client = TolerantClient
    replica_sorter.sort_geoip = by_priority
