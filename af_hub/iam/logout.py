"""The end of a login: tokens forgotten, revoked, and a page that says what may live on."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from oauthenticator.oauth2 import OAuthLogoutHandler

from af_hub.errors import AFError, IAMUnavailable
from af_hub.iam.pages import Ended, PanelHandler, logged_out
from af_hub.logouts import TellsOfLogouts

if TYPE_CHECKING:
    from af_hub.iam.broker import Broker
    from af_hub.iam.session import HubUser, Sessions
    from af_hub.iam.tokens import TokenEndpoint
    from af_hub.secret import Secret

log = logging.getLogger(__name__)

PATIENCE: Final = 5.0
"""Seconds that a logout waits for the identity provider."""


async def end_login(
    user: HubUser, sessions: Sessions, broker: Broker, endpoint: TokenEndpoint, *, revoke: bool
) -> Ended:
    """Forget a login and what was made from it, and revoke that at the identity provider.

    Parameters
    ----------
    user
        Whose.
    sessions, broker
        Where its tokens are kept.
    endpoint
        Where they are revoked.
    revoke
        Whether to; else they are only forgotten.

    Returns
    -------
    Ended
        What was achieved. An identity provider that is away stops no logout.
    """
    # the login first: whoever asks for a token from now on finds none
    login = await sessions.forget(user)
    brokered = broker.forget(user)
    if login is None:
        return Ended()
    held = max((one.expires_at for one in brokered), default=0.0)
    until = max(login.expires_at, held)
    if not revoke:
        return Ended(until=until)
    # each by itself: with INDIGO IAM the login's access tokens die with its refresh token, exchanged
    # ones do not; RFC 7009, section 2.1, leaves it to the provider
    login_tokens = [login.refresh_token, login.access_token]
    tokens = [one for one in login_tokens if one] + [one.access_token for one in brokered]
    try:
        async with asyncio.timeout(PATIENCE):
            revoked = await _revoke(tokens, endpoint)
    except (AFError, TimeoutError) as error:
        code = error.code if isinstance(error, AFError) else "iam-unreachable"
        detail = error.detail if isinstance(error, AFError) else "too slow"
        log.warning("tokens of %s could not be revoked: %s (%s)", user.name, code, detail)
        return Ended(until=until, code=code)
    return Ended(revoked=revoked, until=held if revoked else until)


async def _revoke(tokens: list[Secret], endpoint: TokenEndpoint) -> bool:
    """Revoke them all at once, so that one that fails keeps no other alive."""
    results = await asyncio.gather(
        *(endpoint.revoke(token) for token in tokens), return_exceptions=True
    )
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return all(results)


class LogoutHandler(TellsOfLogouts, PanelHandler, OAuthLogoutHandler):  # type: ignore[misc]  # OAuthenticator is untyped
    """Forgets the tokens, ends them at the identity provider, and says what may live on."""

    _ended = Ended()

    async def handle_logout(self) -> None:
        """Wipe and revoke; an identity provider that is away does not stop a logout."""
        await super().handle_logout()
        user = self.current_user
        if user is None:
            # JupyterHub knows nobody any more whose refresh was refused; the tokens are still here
            user = self.get_current_user_cookie()
            if user is None:
                return
            self.clear_login_cookie()
        if self.authenticator.enable_auth_state:
            self._ended = await self.authenticator.end_login(user)
        self.authenticator.audit.logged_out(user.name, revoked=self._ended.revoked)

    async def render_logout_page(self) -> None:
        """Show the page, or go where ``logout_redirect_url`` says."""
        if self.authenticator.logout_redirect_url:
            self.redirect(self.authenticator.logout_redirect_url)
            return
        try:
            endpoints = await self.authenticator.provider.endpoints()
            # INDIGO IAM has no end_session_endpoint, but a page beside /authorize
            iam_logout_url = urljoin(endpoints.authorize, "logout")
        except IAMUnavailable:
            iam_logout_url = ""
        await self.show(
            logged_out(
                self._ended,
                now=time.time(),
                login_url=self.settings["login_url"],
                provider_url=iam_logout_url,
            )
        )
