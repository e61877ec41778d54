"""Device flow (RFC 8628): a program in a terminal logs in by a browser somewhere else.

The real IAM was not observed here; this follows its source code: a device that asks often is
borne, one that a person denied hears nothing of it until the code expires, and the texts of errors
hold the device code. The switch ``standard_device_flow`` makes it the RFC's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from authlib.oauth2.rfc6749.errors import (
    InvalidGrantError,
    InvalidScopeError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc8628 import (
    DEVICE_CODE_GRANT_TYPE,
    AuthorizationPendingError,
    DeviceAuthorizationEndpoint,
    DeviceCodeGrant,
)

from af_hub.embedded.iam import policy
from af_hub.embedded.iam.device_book import INTERVAL, Credential, DeviceBook
from af_hub.embedded.iam.grants import CLIENT_AUTH, Serving, shown
from af_hub.embedded.iam.mint import Order
from af_hub.embedded.iam.records import fingerprint

if TYPE_CHECKING:
    from af_hub.embedded.iam.people import Person
    from af_hub.embedded.iam.switches import Control

DEVICE: Final = DEVICE_CODE_GRANT_TYPE
DEVICE_SECONDS: Final = 600


class DeviceGrant(Serving, DeviceCodeGrant):  # type: ignore[misc]  # Authlib is untyped
    """Redeems a device code that a person has approved."""

    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTH

    def validate_token_request(self) -> None:
        """Refuse the code of another client as one that does not exist."""
        try:
            super().validate_token_request()
        except UnauthorizedClientError:
            raise self._unknown() from None
        except AuthorizationPendingError:
            if self.control.switches().standard_device_flow:
                raise
            code = shown(self.request.form["device_code"])
            raise AuthorizationPendingError(f"Authorization pending for code: {code}") from None

    def query_device_credential(self, device_code: str) -> Credential:
        """Return what belongs to the code."""
        found = self.devices.find(device_code)
        if found is None:
            raise self._unknown()
        return found

    def query_user_grant(self, user_code: str) -> tuple[Person, bool] | None:  # noqa: ARG002
        """Return who decided and how, None while nobody has."""
        credential = self.devices.find(self.request.form["device_code"])
        if credential is None or credential.approved is None:
            return None
        person = self.store.person(sub=credential.sub or "")
        return None if person is None else (person, credential.approved)

    def should_slow_down(self, credential: Credential) -> bool:
        """Bear clients that ask often, unless it is switched."""
        switched = self.control.switches().standard_device_flow
        return switched and self.devices.asks_too_often(credential)

    def _unknown(self) -> InvalidGrantError:
        code = shown(self.request.payload.data.get("device_code", ""))
        return InvalidGrantError(f"Invalid device code: {code}")

    def generate_token(self, user: Person, scope: str, **_: Any) -> dict[str, Any]:
        """Make the tokens."""
        credential: Credential = self.request.credential
        if not self.devices.take(credential):
            raise self._unknown()
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
    control
        The switches and the IAM's clock.
    page
        Address that the person opens.
    """

    CLIENT_AUTH_METHODS = CLIENT_AUTH
    EXPIRES_IN = DEVICE_SECONDS
    INTERVAL = INTERVAL

    def __init__(self, server: Any, devices: DeviceBook, control: Control, page: str) -> None:
        super().__init__(server)
        self._devices = devices
        self._control = control
        self._page = page

    def create_endpoint_response(self, request: Any) -> Any:
        """Answer a client, if it may ask for the scope."""
        client = self.authenticate_client(request)
        if client.get_allowed_scope(request.payload.scope) is None:
            raise InvalidScopeError
        status, answer, headers = super().create_endpoint_response(request)
        if not self._control.switches().standard_device_flow:
            del answer["interval"]
        return status, answer, headers

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
                expires_at=self._control.now() + DEVICE_SECONDS,
            )
        )
