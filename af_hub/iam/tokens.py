"""The token endpoint, and what of its answers is kept."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from af_hub.errors import IAMUnavailable, IdentityError, SessionOver
from af_hub.iam.answers import error_of
from af_hub.iam.verify import verify_userinfo
from af_hub.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from af_hub.errors import AFError
    from af_hub.iam.discovery import Issuer
    from af_hub.iam.http import IAMHttp, Reply

EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  a type name
_PURPOSES: Final = {
    "authorization_code": "code",
    "refresh_token": "refresh",
    EXCHANGE: "exchange",
}
"""Names of the grants in metrics."""

_SECRET_FIELDS: Final = ("code", "code_verifier", "refresh_token", "subject_token", "token")
"""Fields of our forms that no log or page may show."""

_UNKNOWN_LIFETIME: Final = 300.0
"""Seconds that a token is trusted whose lifetime the provider does not tell."""

_LONGEST_LIFETIME: Final = 10 * 366 * 86400


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A successful answer of the token endpoint.

    Parameters
    ----------
    access_token, refresh_token, id_token
        The tokens; None where none was given.
    expires_at
        End of the access token, seconds since the epoch.
    scope
        Granted scope, separated by spaces.
    """

    access_token: Secret
    refresh_token: Secret | None
    id_token: Secret | None
    expires_at: float
    scope: str

    @classmethod
    def parse(cls, body: Mapping[str, Any], *, asked: str, now: float) -> TokenAnswer:
        """Read an answer.

        Parameters
        ----------
        body
            The JSON object.
        asked
            Scope of the request: what an answer without ``scope`` means (RFC 6749, 5.1).
        now
            When the request was sent: lifetimes count from there at the latest.

        Raises
        ------
        IAMUnavailable
            ``iam-answer`` if there is no usable access token in it.
        """
        scope = body.get("scope", asked)
        seconds = body.get("expires_in")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            seconds = _UNKNOWN_LIFETIME
        # also refuses NaN and numbers that no float can hold
        if not 0 <= seconds <= _LONGEST_LIFETIME:
            seconds = _UNKNOWN_LIFETIME
        access_token = _token(body, "access_token")
        kind = body.get("token_type")
        if access_token is None or not isinstance(kind, str) or kind.lower() != "bearer":
            raise IAMUnavailable(
                "iam-answer",
                "The identity provider answered without a usable token. Please try again.",
            )
        return cls(
            access_token=access_token,
            refresh_token=_token(body, "refresh_token"),
            id_token=_token(body, "id_token"),
            expires_at=now + float(seconds),
            scope=scope if isinstance(scope, str) else asked,
        )


class TokenEndpoint:
    """The hub's client at one identity provider.

    Parameters
    ----------
    issuer, http
        The provider.
    client_id
        The hub's client id.
    secret
        Returns the client secret; called for each request, so that a file can be changed.
    basic_auth
        Send the secret by header instead of by form.
    """

    def __init__(
        self,
        issuer: Issuer,
        http: IAMHttp,
        *,
        client_id: str,
        secret: Callable[[], Secret],
        basic_auth: bool,
    ) -> None:
        self._issuer = issuer
        self._http = http
        self._client_id = client_id
        self._secret = secret
        self._basic_auth = basic_auth

    async def ready(self) -> None:
        """Find out the provider's addresses, if they are not known yet.

        Raises
        ------
        IAMUnavailable
            No answer.
        """
        await self._issuer.endpoints()

    async def redeem(
        self, code: str, *, redirect_uri: str, verifier: str, scope: str
    ) -> TokenAnswer:
        """Redeem an authorization code.

        Raises
        ------
        SessionOver
            The code is unknown, used or too old.
        IAMUnavailable
            The provider or the hub's registration has a problem.
        """
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        if verifier:
            form["code_verifier"] = verifier
        return await self._ask(form, asked=scope)

    async def refresh(
        self, refresh_token: Secret, *, scope: str = "", audience: str = "", held: str = ""
    ) -> TokenAnswer:
        """Refresh, with `scope` and `audience` to a narrower access token.

        Raises
        ------
        SessionOver
            ``login-over``, ``account-disabled``, ``aup-not-signed``.
        IdentityError
            ``token-not-granted`` for a scope or audience that is refused.
        IAMUnavailable
            No answer, or one that says nothing about the login.
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
        if scope:
            form["scope"] = scope
        if audience:
            form["audience"] = audience
        return await self._ask(form, asked=scope or held)

    async def exchange(self, subject: Secret, *, audience: str, scope: str) -> TokenAnswer:
        """Exchange an access token for one of another audience and narrower scope (RFC 8693).

        INDIGO IAM lets a client exchange for itself, and the subject token stays alive.

        Raises
        ------
        SessionOver, IdentityError, IAMUnavailable
            As for `refresh`.
        """
        form = {
            "grant_type": EXCHANGE,
            "subject_token": subject.reveal(),
            "subject_token_type": _ACCESS_TOKEN,
            "audience": audience,
            "scope": scope,
        }
        return await self._ask(form, asked=scope)

    async def revoke(self, token: Secret) -> bool:
        """Revoke a token (RFC 7009); False where the provider has no such endpoint.

        Raises
        ------
        AFError
            The provider did not answer, or refused: the token lives on.
        """
        endpoints = await self._issuer.endpoints()
        if not endpoints.revoke:
            return False
        form = {"token": token.reveal()}
        reply = await self._post(endpoints.revoke, form, "revoke")
        if reply.status != 200:
            raise self._refused(reply, form)
        return True

    async def userinfo(self, access_token: Secret, *, sub: str) -> dict[str, Any]:
        """Return the claims of /userinfo; empty where the provider has none.

        Raises
        ------
        IdentityError
            ``userinfo-subject`` if it describes somebody else than the ID token.
        SessionOver
            The provider refuses the token.
        IAMUnavailable
            No answer.
        """
        endpoints = await self._issuer.endpoints()
        if not endpoints.userinfo:
            return {}
        reply = await self._http.get(endpoints.userinfo, purpose="userinfo", bearer=access_token)
        if reply.status in {401, 403}:
            raise SessionOver("login-over", "Your login has ended. Please log in again.")
        claims = await self._described(reply)
        if claims.get("sub") != sub:
            raise IdentityError(
                "userinfo-subject",
                "The identity provider described another person than the one who logged in. "
                "Please tell the facility's support.",
            )
        return claims

    async def _described(self, reply: Reply) -> dict[str, Any]:
        """Read userinfo, which some providers sign (Core 5.3.2)."""
        if reply.status != 200:
            raise error_of(reply.status, {})
        if not reply.body.startswith(b"ey"):  # how every JWT begins
            return reply.json()
        return await self._issuer.check(
            partial(
                verify_userinfo,
                reply.body.decode("latin-1").strip(),
                issuer=self._issuer.issuer,
                client_id=self._client_id,
            )
        )

    async def _ask(self, form: dict[str, str], *, asked: str) -> TokenAnswer:
        endpoints = await self._issuer.endpoints()
        now = time.time()
        reply = await self._post(endpoints.token, form, _PURPOSES[form["grant_type"]])
        if reply.status != 200:
            raise self._refused(reply, form)
        return TokenAnswer.parse(reply.json(), asked=asked, now=now)

    def _refused(self, reply: Reply, form: Mapping[str, str]) -> AFError:
        secret = self._secret().reveal()
        sent = [form[name] for name in _SECRET_FIELDS if name in form]
        return error_of(
            reply.status,
            _object(reply.body),
            [*sent, secret, f"{self._client_id}:{secret}"],
        )

    async def _post(self, url: str, form: dict[str, str], purpose: str) -> Reply:
        secret = self._secret()
        if self._basic_auth:
            return await self._http.post(
                url, form, purpose=purpose, basic=(self._client_id, secret)
            )
        client = {"client_id": self._client_id, "client_secret": secret.reveal()}
        return await self._http.post(url, form | client, purpose=purpose)


def _token(body: Mapping[str, Any], name: str) -> Secret | None:
    value = body.get(name)
    # RFC 6749, appendix A: visible ASCII; anything else could not be sent in a header
    usable = isinstance(value, str) and value and value.isascii() and value.isprintable()
    return Secret(str(value)) if usable else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
