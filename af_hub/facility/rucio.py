"""Section ``rucio``: the experiment's data catalogue."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from af_hub.facility.addresses import MAX_LENGTH, parse_address
from af_hub.facility.base import Model, Slug

_USER: Final = "{user}"
_ACCOUNT = re.compile(r"[a-z0-9_-]{1,30}")


def _server(text: str) -> str:
    """Take http on this machine only: the user's token goes there with every request."""
    address = parse_address(text, ("https", "http"))
    if address.scheme == "http" and not address.is_loopback:
        raise ValueError("must be https: users' tokens are sent there (http only on 127.0.0.1)")
    return text


def _pattern(text: str) -> str:
    """Check a text with at most one ``{user}``, the rest being characters of accounts."""
    rest = text.replace(_USER, "", 1)
    if not _ACCOUNT.fullmatch(rest or "a"):
        raise ValueError("is not an account: a-z 0-9 _ - with at most one {user} for the user name")
    return text


Account = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,30}$")]
"""Name of a Rucio account (``ACCOUNT`` in ``rucio.common.schema``; experiments' own limits are
between 25 and 30 characters)."""

HubUser = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._@+-]{0,62}$")]
"""Name of a user at the hub."""


class Rucio(Model):
    """A Rucio server that accepts the users' tokens, and who is who there."""

    url: Annotated[
        str,
        AfterValidator(_server),
        WithJsonSchema(
            {
                "type": "string",
                "pattern": r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
                "maxLength": MAX_LENGTH,
            }
        ),
    ]
    """Address of the server: https, or http on 127.0.0.1."""

    audience: Slug
    """Name of the audience (section ``identity``) whose token the server accepts."""

    account: Annotated[
        str,
        StringConstraints(max_length=30),
        AfterValidator(_pattern),
        WithJsonSchema({"type": "string", "pattern": r"^[a-z0-9_-]*(\{user\})?[a-z0-9_-]*$"}),
    ] = _USER
    """Account of a user at Rucio; ``{user}`` stands for the name at the hub."""

    accounts: Annotated[dict[HubUser, Account], Field(max_length=10_000)] = Field(
        default_factory=dict
    )
    """Accounts of those whose account is another one, by the user's name at the hub."""

    def account_of(self, user: str) -> str | None:
        """Give the Rucio account of a user of the hub.

        Returns
        -------
        str or None
            The account; None if the user's name makes none that Rucio could know.
        """
        account = self.accounts.get(user) or self.account.replace(_USER, user)
        return account if _ACCOUNT.fullmatch(account) else None
