"""`IAMAuthenticator`: login with an INDIGO IAM or any OpenID Connect issuer."""

from __future__ import annotations

import logging
import time
from functools import cached_property
from typing import Any

from jupyterhub import orm, roles
from oauthenticator.generic import GenericOAuthenticator

from af_hub.collector import spare_what_lasts
from af_hub.errors import AFError, IAMUnavailable, IdentityError, Refusal
from af_hub.iam.backlog import BUSY, Backlog
from af_hub.iam.broker import Audience, Broker
from af_hub.iam.groups import matches_any, stored
from af_hub.iam.handlers import ServerTokenHandler, ServiceTokenHandler
from af_hub.iam.login import CallbackHandler, LoginHandler
from af_hub.iam.logout import LogoutHandler, end_login
from af_hub.iam.names import hub_name, same_issuer
from af_hub.iam.observed import Observed
from af_hub.iam.pace import Pace, spread
from af_hub.iam.pages import Ended, keeps_working
from af_hub.iam.session import Login, Sessions, pin_of
from af_hub.spawner.refusals import start_refused


class IAMAuthenticator(Observed, GenericOAuthenticator):  # type: ignore[misc]  # untyped base
    """Verified logins, groups in one form, one refresh at a time, and a token broker."""

    login_handler = LoginHandler
    callback_handler = CallbackHandler
    logout_handler = LogoutHandler

    @cached_property
    def sessions(self) -> Sessions:
        """Logins kept alive."""
        return Sessions(
            self.endpoint,
            accept=self.reader.again,
            apply=self._apply,
            watch=self.audit,
            pace=Pace(self.max_calls_per_second),
        )

    @cached_property
    def backlog(self) -> Backlog:
        """Logins whose renewal has to wait."""
        return Backlog(self.login_of)

    @cached_property
    def broker(self) -> Broker:
        """Tokens for servers and services."""
        audiences = {name: Audience(**entry) for name, entry in self.token_audiences.items()}
        return Broker(
            self.endpoint,
            self.sessions,
            audiences,
            login=self.login_of,
            issuer=self.access_token_issuer,
        )

    def get_handlers(self, app: Any) -> list[tuple[Any, ...]]:
        """Add the broker and `extra_routes` to the pages of login and logout."""
        # JupyterHub configures its own logger only; what these modules log belongs there too
        ours = logging.getLogger("af_hub")
        ours.parent = app.log
        ours.setLevel(app.log.level)
        # the hub asks for its pages last, when all is imported
        spare_what_lasts()
        return [
            *super().get_handlers(app),
            (r"/api/af/token", ServerTokenHandler),
            (r"/api/af/users/([^/]+)/token", ServiceTokenHandler),
            *self.connect(app),
            *self.extra_routes,
        ]

    # --- login ---

    async def authenticate(
        self,
        handler: Any,
        data: dict[str, str] | None = None,  # noqa: ARG002  there is no form
        **_: Any,
    ) -> dict[str, Any]:
        """Redeem the code, verify everything, return the auth model.

        Raises
        ------
        AFError
            `CallbackHandler` makes a page of it.
        """
        state = handler.login_state()
        code = handler.get_argument("code")
        answer = await self.endpoint.redeem(
            code,
            redirect_uri=self.get_callback_url(handler),
            verifier=state.get("code_verifier", ""),
            scope=" ".join(self.scope),
        )
        username, login = await self.reader.first(answer, nonce=state.get("nonce", ""), code=code)
        name = self.normalize_username(hub_name(username))
        handler.verified = name, login
        await self._check_pin(handler, name, login)
        return await self._model(name, login)

    async def _check_pin(self, handler: Any, name: str, login: Login) -> None:
        # not find_user: it reads roles, groups and shares along, five queries that JupyterHub
        # makes anyway after this
        known = handler.db.query(orm.User.id).filter(orm.User.name == name).scalar()
        user = None if known is None else handler.users[known]
        state = await user.get_auth_state() if user else None
        pin = pin_of(state) if self.pin_subject else {}
        if pin and (pin.get("sub") != login.sub or not same_issuer(pin.get("iss", ""), login.iss)):
            raise IdentityError(
                "name-taken",
                "Another account used your user name here before you. "
                "Please ask the facility's support.",
                f"user {name}",
            )
        former = Login.from_state(state)
        if former is not None:
            self.audit.groups_changed(name, former.groups, login.groups)

    # --- authorisation ---

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:
        """Let in whom the base class lets in, and members of `allowed_groups`."""
        if await super().check_allowed(username, auth_model):
            return True
        groups = ((auth_model or {}).get("auth_state") or {}).get("groups", ())
        return matches_any(groups, self.allowed_groups)

    async def login_of(self, user: Any, *, max_age: float | None = None) -> Login:
        """Return a user's login, fresh, confirmed and still allowed.

        Parameters
        ----------
        user
            JupyterHub's user.
        max_age
            Seconds since the identity provider last confirmed it; None = `group_check_interval`.

        Raises
        ------
        Refusal
            ``group-not-allowed``: the login is good, the groups do not suffice any more.
        AFError
            See `Sessions.ensure`.
        """
        if max_age is None:
            max_age = self.group_check_interval * spread(user.name)
        login = await self.sessions.ensure(user, margin=self.refresh_leeway, max_age=max_age)
        if self.recheck_on_refresh:
            await self._check_still_allowed(user, login)
        return login

    async def _check_still_allowed(self, user: Any, login: Login) -> None:
        model = await self._model(user.name, login)
        blocked = not await _awaited(self.check_blocked_users(user.name, model))
        if blocked or not (self.allow_all or await self.check_allowed(user.name, model)):
            raise Refusal(
                "group-not-allowed",
                "Your account is in no group any more that may use this facility. "
                "Please ask your experiment or this facility's support.",
            )

    # --- refresh ---

    async def refresh_user(self, user: Any, handler: Any = None, **_: Any) -> bool:  # noqa: ARG002
        """Keep the login alive.

        Returns True after storing everything itself, inside the user's lock: JupyterHub would
        store a returned model after the lock, where it could overwrite a newer refresh token.
        """
        if not self.enable_auth_state:
            return True
        if self.refresh_user_hook is not None:
            refreshed = await self._call_refresh_user_hook(user, await user.get_auth_state())
            if refreshed is not None:
                return bool(refreshed)
        try:
            await self.login_of(user)
        except IAMUnavailable as error:
            kept = time.time() < await self.works_until(user)
            if kept and error.code == BUSY:
                self.backlog.add(user)
            self.log.warning("%s keeps the login: %s (%s)", user.name, kept, error.code)
            return kept
        except AFError as error:
            self.log.warning("%s has to log in again: %s", user.name, error.code)
            return False
        return True

    async def works_until(self, user: Any) -> float:
        """Return when a login ends if the identity provider stays away; 0 without a login."""
        login = Login.from_state(await user.get_auth_state()) if self.enable_auth_state else None
        return login.expires_at + self.offline_grace if login else 0.0

    async def pre_spawn_start(self, user: Any, spawner: Any) -> None:
        """Ask the identity provider before each start, by whatever way it was asked for.

        Raises
        ------
        SpawnRefused
            The login is over, the groups do not suffice, or the provider is away and the token
            has less than `min_token_lifetime` left.
        """
        await _awaited(super().pre_spawn_start(user, spawner))
        if not self.enable_auth_state:
            return
        try:
            await self._confirm(user)
        except AFError as error:
            told = error
            until = await self.works_until(user)
            if isinstance(error, IAMUnavailable) and until > time.time():
                told = keeps_working(error, until)
            refusal = Refusal(told.code, told.message, status=told.status)
            raise start_refused(spawner, refusal) from None

    async def _confirm(self, user: Any) -> None:
        """Ask the identity provider; while it is away, a token with enough life left will do."""
        try:
            await self.login_of(user, max_age=0)
        except IAMUnavailable as error:
            login = Login.from_state(await user.get_auth_state())
            left = login.expires_at - time.time() if login else 0.0
            if login is None or left < self.min_token_lifetime:
                raise
            await self._check_still_allowed(user, login)
            self.log.warning("%s starts a server without %s", user.name, error.code)

    async def _apply(self, user: Any, login: Login) -> None:
        """Write a refreshed login to the hub."""
        model = await self._model(user.name, login)
        if model["admin"] is not None and model["admin"] != user.admin:
            user.admin = model["admin"]
            roles.assign_default_roles(user.db, entity=user)
        if self.manage_groups:
            user.sync_groups(model["groups"])
        await user.save_auth_state(model["auth_state"])  # commits

    async def _model(self, name: str, login: Login) -> dict[str, Any]:
        """Return JupyterHub's auth model for a login."""
        state = login.to_state()
        if self.modify_auth_state_hook is not None:
            state = await self._call_modify_auth_state_hook(state)
        admin: bool | None = True if name in self.admin_users else None
        if self.admin_groups and not admin:
            admin = matches_any(login.groups, self.admin_groups)
        model: dict[str, Any] = {"name": name, "admin": admin, "auth_state": state}
        if self.manage_groups:
            named = (*self.allowed_groups, *self.admin_groups)
            model["groups"] = list(stored(login.groups, self.stored_groups, named=named))
        updated: dict[str, Any] = await self.update_auth_model(model)
        return updated

    # --- logout ---

    async def end_login(self, user: Any) -> Ended:
        """Forget a login, revoke its tokens if `revoke_on_logout`, tell what that achieved."""
        return await end_login(
            user, self.sessions, self.broker, self.endpoint, revoke=self.revoke_on_logout
        )


async def _awaited(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value
