"""Authlib's server, put together: clients, grants, revocation, introspection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from af_hub.embedded.iam.device import DeviceEndpoint, DeviceGrant
from af_hub.embedded.iam.device_book import DeviceBook
from af_hub.embedded.iam.grants import (
    CLIENT_AUTH,
    CodeGrant,
    ExchangeGrant,
    Pkce,
    RefreshGrant,
    bind,
)
from af_hub.embedded.iam.keys import Signer
from af_hub.embedded.iam.mint import Client, Mint
from af_hub.embedded.iam.records import AccessToken, RefreshToken
from af_hub.embedded.iam.store import Store
from af_hub.embedded.iam.switches import Control

if TYPE_CHECKING:
    from af_hub.embedded.iam.config import IAMConfig


class Server(AuthorizationServer):  # type: ignore[misc]  # Authlib is untyped
    """Authlib's server with IAM's answer to wrong client credentials."""

    def authenticate_client(self, request: Any, methods: Any, endpoint: str = "token") -> Any:
        """Refuse with 401 ``unauthorized``, the code that a disabled account gets too."""
        try:
            return super().authenticate_client(request, methods, endpoint)
        except (InvalidClientError, ValueError):
            # Authlib lets credentials that are no text or no base64 end in a ValueError
            raise OAuth2Error(
                error="unauthorized", description="Bad credentials", status_code=401
            ) from None


@dataclass(frozen=True)
class Provider:
    """What both doors share.

    Parameters
    ----------
    config, control, store, signer, devices, server
        The parts.
    """

    config: IAMConfig
    control: Control
    store: Store
    signer: Signer
    devices: DeviceBook
    server: Server

    @classmethod
    def build(cls, config: IAMConfig) -> Provider:
        """Open the state below ``config.data`` and put the parts together."""
        config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        control = Control(config.control)
        store = Store(config.data / "iam.sqlite", control.now)
        signer = Signer(config.data, control)
        mint = Mint(config, store, signer, control)
        devices = DeviceBook(control.now)
        parts: dict[str, Any] = {
            "store": store,
            "mint": mint,
            "signer": signer,
            "control": control,
            "devices": devices,
        }
        clients = {client.client_id: Client(client) for client in config.clients}

        # the mint stores what it makes, in one transaction: there is nothing left to save
        server = Server(query_client=clients.get, save_token=lambda _token, _request: None)
        server.register_grant(bind(CodeGrant, **parts), [Pkce(required=False)])
        server.register_grant(bind(RefreshGrant, **parts))
        server.register_grant(bind(ExchangeGrant, **parts))
        server.register_grant(bind(DeviceGrant, **parts))
        provider = cls(config, control, store, signer, devices, server)
        server.register_endpoint(_Revocation(server, provider))
        server.register_endpoint(_Introspection(server, provider))
        page = f"{config.login_url}device"
        server.register_endpoint(DeviceEndpoint(server, devices, control, page))
        return provider

    def find(self, token: str) -> AccessToken | RefreshToken | None:
        """Return a living token of either kind."""
        claims = self.signer.read(token)
        if claims is not None:
            return self.store.access_token(str(claims.get("jti")))
        return self.store.refresh_token(token)


def _token_of(request: Any) -> str:
    """Return the token of a form; a ``token_type_hint`` is not looked at, whatever it says.

    Raises
    ------
    InvalidRequestError
        There is none.
    """
    if "token" not in request.form:
        raise InvalidRequestError
    return str(request.form["token"])


class _Revocation(RevocationEndpoint):  # type: ignore[misc]  # Authlib is untyped
    """RFC 7009: always 200 with an empty body, also for a token that nobody knows."""

    CLIENT_AUTH_METHODS = CLIENT_AUTH

    def __init__(self, server: Server, provider: Provider) -> None:
        super().__init__(server)
        self._provider = provider

    def create_endpoint_response(self, request: Any) -> tuple[int, str, Any]:
        """Answer with an empty body, as IAM does."""
        status, _, headers = super().create_endpoint_response(request)
        return status, "", headers

    def authenticate_token(self, request: Any, client: Any) -> Any:
        """Return the token if it was given to this client, else None."""
        found = self._provider.find(_token_of(request))
        return found if found and found.client_id == client.get_client_id() else None

    def revoke_token(self, token: AccessToken | RefreshToken, request: Any) -> None:  # noqa: ARG002
        """Delete it; a refresh token takes its access tokens along."""
        store = self._provider.store
        with store.transaction():
            if isinstance(token, RefreshToken):
                store.take("refresh_tokens", token.hash)
            else:
                store.take("access_tokens", token.jti)


class _Introspection(IntrospectionEndpoint):  # type: ignore[misc]  # Authlib is untyped
    """RFC 7662, with the issuer in its form with a slash."""

    CLIENT_AUTH_METHODS = CLIENT_AUTH

    def __init__(self, server: Server, provider: Provider) -> None:
        super().__init__(server)
        self._provider = provider

    def authenticate_token(self, request: Any, client: Any) -> Any:  # noqa: ARG002
        """Return the token, whoever it was given to."""
        return self._provider.find(_token_of(request))

    def create_introspection_payload(self, token: AccessToken | RefreshToken | None) -> Any:
        """Return what is known about a token."""
        person = self._provider.store.person(sub=token.sub) if token else None
        if token is None or person is None:
            return {"active": False}
        return {
            "active": True,
            "iss": self._provider.config.issuer,
            "sub": token.sub,
            "client_id": token.client_id,
            "user_id": person.username,
            "scope": token.scope,
            "exp": int(token.expires_at),
            "token_type": "Bearer",
        }
