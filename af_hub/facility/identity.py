"""Section ``identity``: the identity provider, who may log in, which tokens may be asked for."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from af_hub.facility.base import FilePath, GroupPattern, Model, Slug, WebAddress
from af_hub.iam.names import is_encrypted

Scope = Annotated[
    str,
    StringConstraints(
        pattern=r"^[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*$", max_length=2000
    ),
]
"""Space-separated OAuth scopes (RFC 6749 section 3.3)."""


class Audience(Model):
    """One kind of access token that the hub's broker may ask the identity provider for."""

    audience: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    """Value of the token's ``aud`` claim: what the receiving service calls itself."""

    scope: Scope
    """Scopes to ask for, separated by spaces; the identity provider drops what a user may not
    have."""

    method: Literal["exchange", "refresh"] = "exchange"
    """``exchange``: RFC 8693 token exchange of the hub's client with itself. ``refresh``: the
    refresh grant with a narrower scope, for clients without the exchange grant."""


class Service(Model):
    """A hub service that may get access tokens on a user's behalf."""

    audiences: tuple[Slug, ...]
    """Names of the audiences it may ask for; nothing else is given out."""


class Identity(Model):
    """The identity provider (INDIGO IAM or any OpenID Connect issuer) and the group rules."""

    issuer: WebAddress
    """Issuer as in the provider's discovery document: https, or http on loopback. A trailing slash
    makes no difference here."""

    access_token_issuer: WebAddress | None = None
    """``iss`` of access tokens if it differs from the issuer, byte for byte (XRootD, HTCondor and
    Rucio compare bytes); null learns it from a token."""

    client_id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """Client id of the hub at the identity provider."""

    client_secret_file: FilePath | None = None
    """File with the client secret, readable by the hub only."""

    client_secret_env: (
        Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]{0,99}$")] | None
    ) = None
    """Name (not value) of an environment variable of the hub with the client secret."""

    ca_file: FilePath | None = None
    """PEM bundle of certificate authorities to trust, for the hub and for Labs; null trusts the
    system's."""

    ca_directory: FilePath | None = None
    """Folder of certificate authorities under hashed names (``openssl rehash``) that XRootD's
    clients trust (``X509_CERT_DIR``); null leaves them their own, ``/etc/grid-security/certificates``.
    """

    token_profile: Literal["auto", "iam", "wlcg", "aarc", "kc"] = "auto"  # noqa: S105  not a secret
    """How the provider writes groups into tokens (INDIGO IAM's JWT profiles)."""

    allowed_groups: tuple[GroupPattern, ...] = ()
    """Who may log in: ``/cms`` (exactly), ``/cms/*`` (one level below), ``/cms/**`` (any level
    below). Empty: nobody but administrators."""

    admin_groups: tuple[GroupPattern, ...] = ()
    """Who administers the hub; same patterns."""

    audiences: dict[Slug, Audience] = Field(default_factory=dict)
    """Access tokens that Labs and services may ask the hub for, by name."""

    services: dict[Slug, Service] = Field(default_factory=dict)
    """Hub services that may get tokens on a user's behalf, by the service's name in JupyterHub."""

    @field_validator("issuer")
    @classmethod
    def _encrypted(cls, issuer: str) -> str:
        """Refuse an issuer whose keys anybody on the way could replace."""
        if not is_encrypted(issuer):
            raise ValueError("the identity provider must be reached by https")
        return issuer

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        """Ask for the client secret at exactly one place."""
        if (self.client_secret_file is None) == (self.client_secret_env is None):
            raise ValueError("set exactly one of client_secret_file and client_secret_env")
        return self
