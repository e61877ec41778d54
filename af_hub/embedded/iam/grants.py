"""IAM's grants on Authlib: what each accepts, and with which error it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import BaseGrant, TokenEndpointMixin
from authlib.oauth2.rfc6749.errors import (
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc7636 import CodeChallenge

from af_hub.embedded.iam import policy
from af_hub.embedded.iam.mint import Mint, Order
from af_hub.embedded.iam.records import Code, RefreshToken, fingerprint

if TYPE_CHECKING:
    from af_hub.embedded.iam.device_book import DeviceBook
    from af_hub.embedded.iam.keys import Signer
    from af_hub.embedded.iam.people import Person
    from af_hub.embedded.iam.store import Store
    from af_hub.embedded.iam.switches import Control

CLIENT_AUTH: Final = ["client_secret_basic", "client_secret_post"]
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_CODE_SECONDS: Final = 60.0
_JWT_TYPE: Final = "urn:ietf:params:oauth:token-type:jwt"


def shown(token: str) -> str:
    """Return what of a token may stand in an error's text (RFC 6749, 5.2): all of a real one."""
    return "".join(c for c in token if (c.isascii() and c.isalnum()) or c in "-_.")


def invalid_token(kind: str, token: str) -> OAuth2Error:
    """Return IAM's answer to a dead token: 401, and the whole token in the text.

    RFC 6749 wants 400 ``invalid_grant``; clients have to live with what IAM does, and have to
    keep the text out of their logs.
    """
    return OAuth2Error(
        error="invalid_token", description=f"Invalid {kind} token: {shown(token)}", status_code=401
    )


def audience_of(form: Any) -> list[str]:
    """Return the audiences of a request: IAM takes ``audience`` and ``aud``."""
    return policy.split(form.get("audience") or form.get("aud"))


class Serving:
    """What the grants need beside Authlib's server; bound by `bind`."""

    store: Store
    mint: Mint
    signer: Signer
    control: Control
    devices: DeviceBook
    logged_in_at: int | None = None
    """When the browser's session began, in seconds since the epoch; set by the login door."""


def bind(grant: type[BaseGrant], **parts: Any) -> type[BaseGrant]:
    """Return `grant` with the parts of `Serving`, since Authlib makes grants from classes."""
    return type(grant.__name__, (grant,), parts)


def require_signature(store: Store, person: Person) -> None:
    """Refuse somebody who has not signed the acceptable use policy, in IAM's words.

    Raises
    ------
    InvalidGrantError
        400 ``invalid_grant``.
    """
    if store.unsigned_policy(person.sub) is not None:
        raise InvalidGrantError(
            f"User {person.username} needs to sign AUP for this organization in order to proceed."
        )


def _check_target(grant: Any, held: list[str] | None) -> None:
    """Refuse a ``resource`` (RFC 8707) that the login did not have, as IAM does at a refresh.

    Any ``audience`` is taken, unless the switches make the provider a stricter one.
    """
    form = grant.request.form
    foreign = held is not None and not set(policy.split(form.get("resource"))) <= set(held)
    if foreign or (audience_of(form) and grant.control.switches().refused_audiences):
        raise OAuth2Error(error="invalid_target", description="Target not allowed", status_code=400)


class CodeGrant(Serving, AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib is untyped
    """Authorization code, with IAM's scope policies applied when the code is made."""

    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTH

    def save_authorization_code(self, code: str, request: Any) -> None:
        """Remember the code with everything that the tokens will need."""
        data = request.payload.data
        person: Person = request.user
        self.store.add_code(
            Code(
                hash=fingerprint(code),
                client_id=request.client.get_client_id(),
                sub=person.sub,
                redirect_uri=request.payload.redirect_uri,
                scope=" ".join(policy.permitted(policy.split(request.scope), person)),
                audience=" ".join(audience_of(data) or policy.split(data.get("resource"))),
                nonce=data.get("nonce"),
                challenge=data.get("code_challenge"),
                method=data.get("code_challenge_method"),
                expires_at=self.control.now() + _CODE_SECONDS,
                auth_time=self.logged_in_at if data.get("max_age") else None,
            )
        )

    def query_authorization_code(self, code: str, client: Any) -> Code | None:
        """Return the code if it was made for this client."""
        found = self.store.code(code)
        return found if found and found.client_id == client.get_client_id() else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Leave it: `generate_token` redeems it in the transaction that makes the tokens."""

    def authenticate_user(self, authorization_code: Code) -> Person | None:
        """Return whose code it is."""
        return self.store.person(sub=authorization_code.sub)

    def generate_token(self, user: Person, **_: Any) -> dict[str, Any]:
        """Redeem the code."""
        code: Code = self.request.authorization_code
        scopes = policy.split(code.scope)
        order = Order(
            person=user,
            client=self.request.client.config,
            scopes=scopes,
            audience=policy.split(code.audience),
            nonce=code.nonce,
            id_token="openid" in scopes,
            auth_time=code.auth_time,
        )
        answer = self.mint.redeem(order, code.hash)
        if answer is None:
            raise InvalidGrantError("Invalid authorization code")
        return answer


class Pkce(CodeChallenge):  # type: ignore[misc]  # Authlib is untyped
    """PKCE is optional; the answers to a bad verifier are IAM's, not RFC 7636's."""

    def validate_code_verifier(self, grant: Any, result: Any) -> None:
        """Refuse a wrong verifier with 400 invalid_request, a missing one with 500."""
        if grant.request.authorization_code.code_challenge and not grant.request.form.get(
            "code_verifier"
        ):
            raise OAuth2Error(error="server_error", description="Unexpected error", status_code=500)
        try:
            super().validate_code_verifier(grant, result)
        except InvalidGrantError:
            raise InvalidRequestError("Code challenge and verifier do not match") from None


class RefreshGrant(Serving, RefreshTokenGrant):  # type: ignore[misc]  # Authlib is untyped
    """Refresh by the client's two switches, see `ClientConfig`."""

    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTH

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshToken:
        """Return a living refresh token of this client."""
        found = self.store.refresh_token(refresh_token)
        if found is None:
            raise self._dead(refresh_token)
        if not found.check_client(self.request.client):
            raise OAuth2Error(
                error="invalid_client",
                description="Client does not own refresh token",
                status_code=401,
            )
        return found

    def _validate_token_scope(self, token: RefreshToken) -> None:
        # Authlib compares sets; IAM also takes sub-paths
        if not policy.within(policy.split(self.request.payload.scope), policy.split(token.scope)):
            raise InvalidScopeError

    def authenticate_user(self, refresh_token: RefreshToken) -> Person:
        """Return whose token it is, unless the account was disabled."""
        person = self.store.person(sub=refresh_token.sub)
        if person is None or not person.active:
            name = person.username if person else "unknown"
            raise OAuth2Error(
                error="unauthorized", description=f"User {name} is not active.", status_code=401
            )
        require_signature(self.store, person)
        return person

    def issue_token(self, user: Person, refresh_token: RefreshToken) -> dict[str, Any]:
        """Make the tokens; the ID token comes even where the narrowed scope has no openid."""
        _check_target(self, policy.split(refresh_token.audience))
        full = policy.permitted(policy.split(refresh_token.scope), user)
        wanted = policy.split(self.request.payload.scope)
        order = Order(
            person=user,
            client=self.request.client.config,
            scopes=policy.permitted(wanted, user) if wanted else full,
            audience=audience_of(self.request.form) or policy.split(refresh_token.audience),
            nonce=refresh_token.nonce,
            id_token="openid" in full and self.control.switches().id_token_on_refresh,
            auth_time=refresh_token.auth_time,
        )
        answer = self.mint.refresh(order, refresh_token, policy.split(refresh_token.scope))
        if answer is None:
            raise self._dead(self.request.form["refresh_token"])
        return answer

    def _dead(self, refresh_token: str) -> OAuth2Error:
        switches = self.control.switches()
        if switches.revoke_family_on_reuse:
            self.store.end_family(refresh_token)
        if switches.standard_errors:
            return InvalidGrantError("The refresh token is not valid")
        return invalid_token("refresh", refresh_token)

    def revoke_old_credential(self, refresh_token: RefreshToken) -> None:
        """Leave it: `issue_token` rotates in the transaction that makes the tokens."""


class ExchangeGrant(Serving, BaseGrant, TokenEndpointMixin):  # type: ignore[misc]  # untyped
    """The part of RFC 8693 that IAM has: narrow a token in scope and audience."""

    GRANT_TYPE = EXCHANGE
    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTH

    def validate_token_request(self) -> None:
        """Authenticate the client and check subject token and scope."""
        self.request.client = self.authenticate_token_endpoint_client()
        form = self.request.form
        if form.get("actor_token"):
            raise InvalidRequestError("Delegation not supported")
        if not form.get("scope") or not form.get("subject_token"):
            raise InvalidRequestError("The parameters scope and subject_token are mandatory")
        subject = form["subject_token"]
        claims = self.signer.read(subject)
        found = self.store.access_token(str(claims.get("jti"))) if claims else None
        # a disabled account is not looked at: with the real IAM exchange still works
        person = self.store.person(sub=found.sub) if found else None
        if found is None or person is None:
            raise invalid_token("access", subject)
        require_signature(self.store, person)
        _check_target(self, None)
        wanted = policy.permitted(policy.split(form["scope"]), person)
        own = found.client_id == self.request.client.get_client_id()
        if own and "offline_access" in wanted:
            raise OAuth2Error(
                error="access_denied", description="No refresh token for itself", status_code=403
            )
        # another client needs no subject with a refresh token to get one of its own
        held = [*policy.split(found.scope), "offline_access"]
        allowed = self.request.client.get_allowed_scope(form["scope"]) is not None
        if not wanted or not allowed or not policy.within(wanted, held):
            raise InvalidScopeError
        self.request.user = person
        self._scopes = wanted

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """Make the narrowed token: it lives on when its subject is revoked."""
        client = self.request.client.config
        answer = self.mint.login(
            Order(
                person=self.request.user,
                client=client,
                scopes=self._scopes,
                audience=audience_of(self.request.form),
                id_token="openid" in self._scopes,
                act=client.client_id,
            )
        )
        return 200, answer | {"issued_token_type": _JWT_TYPE}, self.TOKEN_RESPONSE_HEADER
