"""The parts of `IAMAuthenticator` that talk to the identity provider, made from its settings."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from traitlets import Float, default

from af_hub.errors import IAMUnavailable
from af_hub.iam.discovery import Issuer
from af_hub.iam.http import IAMHttp
from af_hub.iam.pace import RATE, places
from af_hub.iam.reader import LoginReader
from af_hub.iam.tokens import TokenEndpoint
from af_hub.iam.traits import IAMTraits
from af_hub.secret import Secret


class Provider(IAMTraits):
    """Mixin: each part is made when first needed, so that all traits are set."""

    max_calls_per_second = Float(
        RATE,
        min=0.1,
        config=True,
        help="""
        Refreshes and exchanges per second for requests that can wait: of pages, servers and
        services. After an outage or a restart of the hub they queue; nobody is logged out
        meanwhile. The provider sees two more than this in any second at most, however slow the
        hub or the way to it is. Starts of servers and logins do not queue. A facility with more active users
        than this times `group_check_interval` needs more.
        """,
    )

    # settings of OAuthenticator, which is untyped
    authorize_url: Any
    token_url: Any
    userdata_url: Any
    client_id: Any
    client_secret: Any
    basic_auth: Any
    username_claim: Any
    validate_server_cert: Any

    @default("auth_refresh_strict")
    def _default_auth_refresh_strict(self) -> bool:
        # JupyterHub 6.1 else leaves servers and API tokens to somebody who lost the group or
        # the account; an outage is no reason here to say so (`refresh_user`)
        return True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.client_id_file:
            self.client_id = Path(self.client_id_file).read_text(encoding="utf-8").strip()

    @cached_property
    def http(self) -> IAMHttp:
        """Client for the identity provider."""
        return IAMHttp(
            self.ca_file,
            verify=self.validate_server_cert,
            places=places(self.max_calls_per_second),
        )

    @cached_property
    def provider(self) -> Issuer:
        """Discovery document and keys."""
        instead = {
            "authorize": self.authorize_url,
            "token": self.token_url,
            "userinfo": self.userdata_url,
        }
        return Issuer(self.issuer, self.http, instead=instead)

    @cached_property
    def endpoint(self) -> TokenEndpoint:
        """Token endpoint."""
        return TokenEndpoint(
            self.provider,
            self.http,
            client_id=self.client_id,
            secret=self._secret,
            basic_auth=self.basic_auth,
        )

    @cached_property
    def reader(self) -> LoginReader:
        """Verification of what the token endpoint answers."""
        return LoginReader(
            self.provider,
            self.endpoint,
            client_id=self.client_id,
            profile=self.token_profile,
            username_claim=self.username_claim,
            algorithms=tuple(self.id_token_algs),
        )

    def _secret(self) -> Secret:
        if self.client_secret_file:
            try:
                text = Path(self.client_secret_file).read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                # no reason to end anybody's login
                raise IAMUnavailable(
                    "client-secret-file",
                    "This facility cannot read its own secret for the identity provider. "
                    "Please tell the facility's support.",
                    f"client_secret_file: {type(error).__name__}",
                ) from None
            return Secret(text.strip())
        return Secret(self.client_secret)
