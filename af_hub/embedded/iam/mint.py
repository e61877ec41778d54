"""Making tokens: what every grant ends in."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import ClientMixin, InvalidRequestError

from af_hub.embedded.iam import policy, profiles
from af_hub.embedded.iam.records import AccessToken, RefreshToken, fingerprint
from af_hub.embedded.iam.switches import changed

if TYPE_CHECKING:
    from af_hub.embedded.iam.config import ClientConfig, IAMConfig
    from af_hub.embedded.iam.keys import Signer
    from af_hub.embedded.iam.people import Person
    from af_hub.embedded.iam.store import Store
    from af_hub.embedded.iam.switches import Control


class Client(ClientMixin):  # type: ignore[misc]  # Authlib is untyped
    """A registered client, as Authlib wants to see it.

    Parameters
    ----------
    config
        Its registration.
    """

    def __init__(self, config: ClientConfig) -> None:
        self.config = config

    def get_client_id(self) -> str:
        """Return the client's id."""
        return self.config.client_id

    def get_default_redirect_uri(self) -> str:
        """Return no default: the redirect URI must be sent."""
        return ""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """Return the scope if the client may ask for all of it, else None."""
        wanted = policy.split(scope)
        return " ".join(wanted) if policy.within(wanted, self.config.scopes) else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Compare byte by byte.

        Raises
        ------
        InvalidRequestError
            It is another one. (Authlib's own sentence would quote it, and fail where it cannot.)
        """
        if redirect_uri not in self.config.redirect_uris:
            raise InvalidRequestError("The redirect URI is not one of the application's own.")
        return True

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare in constant time; the file is read each time, so that it can be changed."""
        return secrets.compare_digest(self.config.secret().encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002
        """Accept the secret by header or by form, whatever was registered, as IAM does."""
        return method in {"client_secret_basic", "client_secret_post"}

    def check_response_type(self, response_type: str) -> bool:
        """Only the code flow exists."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether the client may use a grant: all that are registered."""
        return bool(grant_type)


@dataclass(frozen=True, slots=True)
class Order:
    """What to make.

    Parameters
    ----------
    person, client
        For whom.
    scopes
        Granted scopes; policies have been applied.
    audience
        Audiences of the access token; empty = the profile's default.
    nonce
        Goes into the ID token, at login and at each refresh.
    id_token
        Whether an ID token belongs to the answer.
    act
        Id of the client that exchanged, for the claim ``act``.
    auth_time
        When the person gave the password, in seconds since the epoch, for the claim of that name;
        None where the login did not ask for it.
    """

    person: Person
    client: ClientConfig
    scopes: list[str]
    audience: list[str]
    nonce: str | None = None
    id_token: bool = True
    act: str | None = None
    auth_time: int | None = None


class Mint:
    """Makes and remembers tokens.

    Parameters
    ----------
    config, store, signer, control
        The parts that it works with.
    """

    def __init__(self, config: IAMConfig, store: Store, signer: Signer, control: Control) -> None:
        self._control = control
        self._config = config
        self._store = store
        self._signer = signer

    def redeem(self, order: Order, code_hash: str) -> dict[str, Any] | None:
        """Make tokens for a code. Returns None if it was redeemed before."""
        with self._store.transaction():
            if not self._store.take("codes", code_hash):
                return None
            return self._first(order)

    def login(self, order: Order) -> dict[str, Any]:
        """Make tokens that need no code, and that stand on their own."""
        with self._store.transaction():
            return self._first(order)

    def refresh(
        self, order: Order, old: RefreshToken, full_scope: list[str]
    ) -> dict[str, Any] | None:
        """Refresh by the rules of the client. Returns None if `old` was used up meanwhile.

        Parameters
        ----------
        order
            What to make; its scopes may be narrower than the refresh token's.
        old
            The refresh token that was presented.
        full_scope
            Scope of the new refresh token: narrowing does not stick.
        """
        with self._store.transaction():
            if order.client.reuse_refresh_token:
                if order.client.clear_access_tokens_on_refresh:
                    self._store.clear_access_tokens(old.hash)
                return self._answer(order, None, parent=old.hash)
            if not self._store.take("refresh_tokens", old.hash):
                return None
            audience = policy.split(old.audience)  # one that is asked for now does not stick
            kept = replace(order, scopes=full_scope, audience=audience)
            return self._answer(order, self._new_refresh(kept, old.hash))

    def _first(self, order: Order) -> dict[str, Any]:
        refresh = self._new_refresh(order) if "offline_access" in order.scopes else None
        return self._answer(order, refresh)

    def _new_refresh(self, order: Order, parent: str | None = None) -> str:
        """Make an unsigned JWT, as IAM does: the client can read when it expires."""
        expires_at = int(self._control.now()) + order.client.refresh_token_seconds
        payload = {"exp": expires_at, "jti": secrets.token_urlsafe(32)}
        token = f"{_part({'alg': 'none'})}.{_part(payload)}."
        record = RefreshToken(
            hash=fingerprint(token),
            client_id=order.client.client_id,
            sub=order.person.sub,
            scope=" ".join(order.scopes),
            audience=" ".join(order.audience),
            nonce=order.nonce,
            expires_at=expires_at,
            auth_time=order.auth_time,
        )
        self._store.add_token(record)
        self._store.join_family(record, parent or record.hash)
        return token

    def _answer(
        self, order: Order, refresh: str | None, *, parent: str | None = None
    ) -> dict[str, Any]:
        now, switches = int(self._control.now()), self._control.switches()
        seconds = order.client.access_token_seconds
        common = {"sub": order.person.sub, "iat": now}
        claims = common | {
            "iss": self._config.access_token_issuer,
            "exp": now + seconds,
            "jti": secrets.token_urlsafe(16),
            "client_id": order.client.client_id,
        }
        if order.act:
            claims["act"] = {"sub": order.act}
        profile = order.client.token_profile
        claims |= profiles.access_claims(profile, order.person, order.scopes, order.audience, now)
        if profile == "iam" and self._config.include_authn_info:
            claims |= profiles.authn_info(order.person, order.scopes)
        self._store.add_token(
            AccessToken(
                jti=str(claims["jti"]),
                client_id=order.client.client_id,
                sub=order.person.sub,
                scope=" ".join(order.scopes),
                refresh=fingerprint(refresh) if refresh else parent,
                expires_at=now + seconds,
            )
        )
        answer: dict[str, Any] = {
            "access_token": self._signer.sign(changed(claims, switches.access_token)),
            "token_type": "Bearer",
            "expires_in": seconds,
            "scope": " ".join(order.scopes),
        }
        if refresh:
            answer["refresh_token"] = refresh
        if order.id_token:
            answer["id_token"] = self._signer.sign_id_token(
                changed(common | self._id_claims(order, now), switches.id_token),
                order.client.secret(),
            )
        return changed(answer, switches.token_answer)

    def _id_claims(self, order: Order, now: int) -> dict[str, Any]:
        claims: dict[str, Any] = {
            "iss": self._config.issuer,
            "aud": order.client.client_id,
            "exp": now + order.client.id_token_seconds,
            "jti": secrets.token_urlsafe(16),
            "kid": self._signer.kid,
            "amr": ["pwd"],
        }
        if order.nonce:
            claims["nonce"] = order.nonce
        if order.auth_time is not None:
            claims["auth_time"] = order.auth_time
        return claims | profiles.id_claims(order.client.token_profile, order.person, order.scopes)


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
