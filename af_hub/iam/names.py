"""The one table of names: (iss, sub) → what JupyterHub, pods, pools and ledgers call a person.

User names of an identity provider can change and can come back to somebody else; the pair
(iss, sub) cannot. The hub name is the readable one and is pinned to the pair by the
authenticator; every other name is derived from the pair alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from af_hub.errors import IdentityError

if TYPE_CHECKING:
    from af_hub.secret import Secret

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_HUB_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,62}")


@dataclass(frozen=True, slots=True)
class Names:
    """What a person is called where.

    Parameters
    ----------
    hub
        JupyterHub user name.
    slug
        Name for pods, volumes and folders: a DNS label of 22 characters.
    account
        Account on batch systems; starts with a letter, holds letters and digits only.
    ledger
        Key of accounting records.
    """

    hub: str
    slug: str
    account: str
    ledger: str


def same_issuer(one: str, other: str) -> bool:
    """Compare issuers, tolerating the one difference that INDIGO IAM makes: a trailing slash."""
    return one.removesuffix("/") == other.removesuffix("/")


def issuer_of(token: Secret) -> str:
    """Return ``iss`` of an access token without verifying it; empty if it is no JWT.

    Used only to tell what form of the issuer the provider writes into access tokens, never to
    decide anything: the token has just come from the provider over TLS.
    """
    try:
        payload = token.reveal().split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        issuer = claims.get("iss")
    except (IndexError, ValueError, AttributeError, RecursionError):
        return ""
    return issuer if isinstance(issuer, str) else ""


def is_encrypted(url: str) -> bool:
    """Tell whether an issuer's address is https, or http on loopback (WLCG profile 1.3, 4.2).

    Keys come from there and tokens go there.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def hub_name(username: str) -> str:
    """Return the JupyterHub user name for a claimed user name.

    JupyterHub's names are lower-case, so ``Alice`` and ``alice`` are one name; the
    authenticator's pin to (iss, sub) lets only the first of them in.

    Raises
    ------
    IdentityError
        ``name-not-usable`` for names with other characters than ``a-z 0-9 . _ @ + -``, or of
        more than 63: refused, since any replacement could collide with somebody else's name.
    """
    name = username.lower()
    if not username.isascii() or not _HUB_NAME.fullmatch(name):
        raise IdentityError(
            "name-not-usable",
            "Your user name has characters that this facility cannot use, or is too long. "
            "Please tell the facility's support.",
        )
    return name


def names_of(iss: str, sub: str, username: str) -> Names:
    """Return the row of the table for one person.

    Parameters
    ----------
    iss, sub
        The person; a trailing slash of the issuer makes no difference.
    username
        Claimed user name.
    """
    # length first: ("ab", "c") and ("a", "bc") must differ
    # JSON can carry half characters: they differ from each other, too
    issuer, subject = (
        part.encode("utf-8", "surrogatepass") for part in (iss.removesuffix("/"), sub)
    )
    digest = hashlib.sha256(b"%d:%s%s" % (len(issuer), issuer, subject)).digest()
    short = base64.b32encode(digest).decode().lower()[:20]
    return Names(
        hub=hub_name(username), slug=f"u-{short}", account=f"af{short}", ledger=digest.hex()
    )
