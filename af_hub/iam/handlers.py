"""The broker's HTTP interface: parse, authorise, ask the broker, answer."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from jupyterhub import orm
from jupyterhub.apihandlers.base import APIHandler
from tornado import web

from af_hub.errors import AFError, Refusal
from af_hub.iam.answers import scrub
from af_hub.iam.quiet import QuietLog
from af_hub.iam.scopes import TOKEN_SCOPE, service_scope
from af_hub.servers import server_of

if TYPE_CHECKING:
    from jupyterhub.user import User


class APIError(web.HTTPError):
    """A refusal with a code.

    Parameters
    ----------
    error
        What is answered; its detail is only logged.
    """

    def __init__(self, error: AFError) -> None:
        super().__init__(error.status, "%s: %s", error.code, error.detail or error.message)
        self.error = error


class TokenHandler(QuietLog, APIHandler):  # type: ignore[misc]  # JupyterHub is untyped
    """What both ways to the broker share."""

    def set_default_headers(self) -> None:
        """Forbid every cache to keep an answer."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("Pragma", "no-cache")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer ``{code, message}``."""
        error = kwargs.get("exc_info", (None, None))[1]
        if isinstance(error, APIError):
            code, message = error.error.code, error.error.message
        else:
            code, message = f"http-{status_code}", self._reason
        self._audit_refusal(code)
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps({"code": code, "message": message}))

    def _audit_refusal(self, reason: str) -> None:
        asking = self.current_user
        by = "nobody"
        if asking is not None:
            by = f"{'service' if isinstance(asking, orm.Service) else 'user'}:{asking.name}"
        self.authenticator.audit.refused(
            "token",
            reason,
            username=self.whose(),
            by=by,
            audience=self.get_argument("audience", None),
            address=self.request.remote_ip,
        )

    def whose(self) -> str | None:
        """Return the name of the user whose token is asked for, as far as it is known."""
        asking = self.current_user
        return None if asking is None or isinstance(asking, orm.Service) else asking.name

    def holds(self, scope: str, user: User) -> bool:
        """Tell whether the request's token has a scope, for everybody or for this user."""
        return bool({scope, f"{scope}!user={user.name}"} & set(self.expanded_scopes))

    async def tell_why(self, sent: str) -> None:
        """Refuse with what ended the login of a token's owner: JupyterHub keeps that to itself."""
        token = orm.APIToken.find(self.db, sent)
        if token is None or token.user is None:
            return
        try:
            await self.authenticator.login_of(self._user_from_orm(token.user))
        except AFError as error:
            raise APIError(error) from None

    async def answer(self, user: User, caller: str) -> None:
        """Ask the broker and write its answer."""
        name = self.get_argument("audience", "")
        try:
            scope = self.get_argument("scope", "")
            min_left = _seconds(self.get_argument("min_left", "0"))
            token = await self.authenticator.broker.token(user, name, scope, min_left)
        except AFError as error:
            self.log.warning(
                "no token for %r of %s to %s: %s", scrub(name, 64), user.name, caller, error.code
            )
            raise APIError(error) from None
        self.log.info("token for %s of %s given to %s", name, user.name, caller)
        self.authenticator.audit.token_issued(user.name, name, token, to=caller)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(token.to_json(time.time())))


class ServerTokenHandler(TokenHandler):
    """``GET /hub/api/af/token?audience=NAME[&scope=…][&min_left=…]``: for a user's own server."""

    async def get(self) -> None:
        """Answer a server; cookies and other tokens of the user are refused."""
        user = self.current_user
        sent = self.get_auth_token()
        if user is None and sent:
            await self.tell_why(sent)
        if user is None or not sent:
            raise APIError(_refused("token-missing", "Send the server's own API token.", 401))
        if isinstance(user, orm.Service) or not self.holds(TOKEN_SCOPE, user):
            raise APIError(
                _refused("scope-missing", f"The token lacks the scope {TOKEN_SCOPE}!user.")
            )
        # sharing a server, or a personal API token, must not be a way to its owner's tokens
        if server_of(user, sent) is None:
            raise APIError(
                _refused("not-a-server", "Tokens are given only to the user's running server.")
            )
        await self.answer(user, "server")


class ServiceTokenHandler(TokenHandler):
    """``GET /hub/api/af/users/NAME/token?audience=NAME[&scope=…][&min_left=…]``: for services of a user."""

    def whose(self) -> str | None:
        """Return the user of the address: a hub user, or what a stranger typed, scrubbed."""
        name = self.path_args[0]
        return name if self.find_user(name) else scrub(name)

    async def get(self, user_name: str) -> None:
        """Answer a service within its list of audiences."""
        service = self.current_user
        if not isinstance(service, orm.Service):
            raise APIError(_refused("not-a-service", "Only services of the hub may ask here."))
        user = self.find_user(user_name)
        # one answer for both: a service learns no user names
        if user is None or not self.holds(service_scope(service.name), user):
            raise APIError(
                _refused("scope-missing", f"The token lacks {service_scope(service.name)}.")
            )
        allowed = self.authenticator.token_services.get(service.name, {}).get("audiences", ())
        name = self.get_argument("audience", "")
        if name not in allowed:
            self.log.warning("service %s asked for %r, refused", service.name, scrub(name, 64))
            raise APIError(
                _refused("audience-refused", "This service may not have tokens of that name.")
            )
        await self.answer(user, f"service:{service.name}")


def _seconds(text: str) -> float:
    """Read whole seconds, at most a few days."""
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise Refusal(
            "min-left-malformed", "Give min_left as whole seconds, at most 999999.", status=400
        )
    return float(text)


def _refused(code: str, message: str, status: int = 403) -> AFError:
    return Refusal(code, message, status=status)
