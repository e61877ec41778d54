"""Pages of the login, on those of OAuthenticator."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from oauthenticator.oauth2 import (
    OAuthCallbackHandler,
    OAuthLoginHandler,
    _deserialize_state,
    _serialize_state,
)
from tornado import web

from af_hub.errors import AFError, IAMUnavailable, IdentityError, Refusal
from af_hub.iam.answers import scrub
from af_hub.iam.names import same_issuer
from af_hub.iam.pages import PageError, PanelHandler, keeps_working
from af_hub.iam.quiet import QuietLog

if TYPE_CHECKING:
    from af_hub.iam.session import Login

_LONGEST_NEXT = 1500
"""Characters of ``next``: it travels in a cookie, of which browsers keep 4096 bytes."""


class LoginHandler(PanelHandler, OAuthLoginHandler):  # type: ignore[misc]  # OAuthenticator is untyped
    """Sends the browser to the identity provider, with PKCE, state and nonce."""

    authorize_url = ""

    @property
    def _OAUTH_AUTHORIZE_URL(self) -> str:  # noqa: N802  name given by tornado
        return self.authorize_url

    async def get(self) -> None:
        """Redirect. The stock handler has no nonce and knows no discovery."""
        authenticator = self.authenticator
        try:
            endpoints = await authenticator.provider.endpoints()
        except IAMUnavailable as error:
            raise PageError(await self._for_who_is_in(error), again=self.request.path) from None
        self.authorize_url = endpoints.authorize
        state = {
            "state_id": self._generate_state_id(),
            "next_url": self._next_path(),
            "nonce": secrets.token_urlsafe(32),
        }
        extra = {
            **authenticator.extra_authorize_params,
            "nonce": state["nonce"],
            "state": _serialize_state({"state_id": state["state_id"]}),
        }
        if authenticator.enable_pkce:
            state["code_verifier"], extra["code_challenge"] = self._generate_pkce_params()
            extra["code_challenge_method"] = "S256"
        self.set_state_cookie(_serialize_state(state))
        self.authorize_redirect(
            redirect_uri=authenticator.get_callback_url(self),
            client_id=authenticator.client_id,
            scope=authenticator.scope,
            extra_params=extra,
            response_type="code",
        )

    async def _for_who_is_in(self, error: IAMUnavailable) -> IAMUnavailable:
        user = self.current_user
        until = await self.authenticator.works_until(user) if user else 0.0
        return keeps_working(error, until) if until > time.time() else error

    def _next_path(self) -> str | None:
        """Return where to go after the login, on this hub; None for the usual place.

        The stock check crashes at addresses that `urllib` refuses to take apart, and keeps
        characters that no header may hold.
        """
        try:
            path = self._get_next_url()
        except ValueError:
            return None
        usable = path and len(path) <= _LONGEST_NEXT and path.isascii() and path.isprintable()
        return path if usable else None


class CallbackHandler(QuietLog, PanelHandler, OAuthCallbackHandler):  # type: ignore[misc]  # OAuthenticator is untyped
    """Takes the browser back, with error pages that say what to do and hold no token."""

    verified: tuple[str, Login] | None = None
    """Name and login of who logs in, once the identity provider's answer is verified."""

    def login_state(self) -> dict[str, Any]:
        """Return what `LoginHandler` put into the browser's cookie."""
        state = _deserialize_state(self.get_state_cookie())
        return state if isinstance(state, dict) else {}

    def check_state(self) -> None:
        """Compare cookie and address; an unreadable one is a mismatch, not a crash."""
        try:
            super().check_state()
        except (web.HTTPError, AttributeError, UnicodeError, RecursionError):
            # the last three: JSON that is no object, text that is not ASCII, a million brackets
            raise IdentityError(
                "login-state",
                "This login was not started in this browser, or too long ago. Please try again.",
            ) from None

    def check_error(self) -> None:
        """Refuse with the provider's words, without anything that looks like a token."""
        code = self.get_argument("error", "")
        if code:
            words = scrub(self.get_argument("error_description", code))
            raise IdentityError(
                "login-refused", f"The identity provider refused the login: {words}", scrub(code)
            )

    def check_issuer(self) -> None:
        """Refuse the answer of another provider than the one that was asked (RFC 9207)."""
        issuer = self.get_argument("iss", "")
        if issuer and not same_issuer(issuer, self.authenticator.issuer):
            raise IdentityError(
                "login-issuer", "Another identity provider answered. Please try again."
            )

    def check_code(self) -> None:
        """Refuse a call without a code."""
        if not self.get_argument("code", ""):
            raise IdentityError(
                "login-code", "The login did not come back whole. Please try again."
            )

    async def get(self) -> None:
        """Finish the login."""
        again = self.settings["login_url"]
        try:
            self.check_arguments()
            self.check_issuer()
            user = await self.login_user()
        except AFError as error:
            self.log.warning("login refused: %s (%s)", error.code, error.detail)
            self._audit_refusal(error.code)
            raise PageError(error, again=again) from None
        if user is None:
            self._audit_refusal("group-not-allowed")
            raise PageError(
                Refusal(
                    "group-not-allowed",
                    "Your login worked, but your account is in no group that may use this "
                    "facility. If you have just joined one, log in again; otherwise ask your "
                    "experiment or this facility's support for access.",
                ),
                again=again,
            )
        if self.verified is not None:
            self.authenticator.audit.logged_in(
                user.name,
                self.verified[1],
                admin=user.admin,
                address=str(self.request.remote_ip),
            )
        self.redirect(self.get_next_url(user))

    def _audit_refusal(self, reason: str) -> None:
        self.authenticator.audit.refused(
            "login",
            reason,
            username=self.verified[0] if self.verified else None,
            by="browser",
            address=self.request.remote_ip,
        )
