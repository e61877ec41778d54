"""Configuration of the development IAM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

TokenProfile = Literal["iam", "wlcg", "aarc", "kc"]
"""IAM's four JWT profiles; one belongs to each client."""

DEFAULT_SCOPES = (
    "openid",
    "profile",
    "email",
    "offline_access",
    "wlcg",
    "wlcg.groups",
    "eduperson_entitlement",
    "storage.read:/store",
    "storage.modify:/store",
    "storage.create:/store",
)
"""What a client may ask for; a path or group scope stands for everything below it."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClientConfig(_Model):
    """A registered, confidential client.

    The defaults are those that IAM gives to a client made through its admin API: the refresh
    token rotates, and rotation ends the access tokens that came from the old one.
    """

    client_id: str = Field(min_length=1, max_length=255)
    secret_file: Path
    redirect_uris: tuple[str, ...]
    token_profile: TokenProfile = "wlcg"  # noqa: S105  not a secret
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    reuse_refresh_token: bool = False
    clear_access_tokens_on_refresh: bool = False
    access_token_seconds: int = Field(default=3600, ge=1)
    id_token_seconds: int = Field(default=600, ge=1)
    refresh_token_seconds: int = Field(default=2_592_000, ge=1)

    def secret(self) -> str:
        """Return the content of the secret file, read anew at each call."""
        return self.secret_file.read_text(encoding="utf-8").strip()


class IAMConfig(_Model):
    """Everything the process needs; holds names of secret files, never a secret."""

    host: str = "127.0.0.1"
    login_host: str = ""
    """A further address of the login door, for browsers on other machines; empty means none."""

    bind: str = ""
    """Address to listen at where it is not `host`: in a pod the name is that of its Service."""

    https_port: int = Field(ge=1, le=65535)
    login_port: int = Field(ge=1, le=65535)
    certificate: Path
    key: Path
    data: Path
    clients: tuple[ClientConfig, ...] = Field(min_length=1)
    session_seconds: int = Field(default=43_200, ge=1)
    include_authn_info: bool = False
    """IAM's setting of that name: access tokens of profile ``iam`` name the person, too."""

    control: Path | None = None
    """Folder of the switches, for tests (see `af_hub.embedded.iam.switches`); none in facilities."""

    @property
    def issuer(self) -> str:
        """Issuer in discovery and ID tokens: always with a trailing slash, as IAM's."""
        return f"https://{self.host}:{self.https_port}/"

    @property
    def access_token_issuer(self) -> str:
        """Issuer in access tokens: the configured form, which has no slash (IAM 1.12)."""
        return self.issuer.removesuffix("/")

    @property
    def login_url(self) -> str:
        """Base of the login door, with a trailing slash.

        In a pod it is named on loopback, too: no hub takes an http address beyond it from anybody,
        so hubs there are told where browsers find it (``authorize_url``).
        """
        host = "127.0.0.1" if self.bind else self.host
        return f"http://{host}:{self.login_port}/"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a configuration file (JSON).

        Raises
        ------
        pydantic.ValidationError
            If a key is unknown or a value is out of range.
        """
        return cls.model_validate(json.loads(path.read_text(encoding="utf-8")))
