"""``GET /hub/api/af/profiles`` and ``/hub/api/af/usage``, and the administrators' page."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final

from jupyterhub import orm
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.handlers.base import BaseHandler
from jupyterhub.scopes import Scope, needs_scope
from tornado import web
from tornado.iostream import StreamClosedError

from af_hub.logouts import listen
from af_hub.spawner.page.form import part
from af_hub.spawner.page.live import state_of
from af_hub.spawner.page.news import News
from af_hub.spawner.recorded import RecordedSpawner

if TYPE_CHECKING:
    from af_hub.spawner.page.overview import Overview

_KEEPALIVE: Final = 15.0
"""Seconds of silence after which proxies might close a stream."""
_LONGEST: Final = 300.0
"""Seconds after which a page asks anew, so that another group is noticed; also a logout from an
authenticator that does not tell of it (`af_hub.logouts`)."""
_LEAVE: Final = 1.0
"""Seconds from the answer to a logout until pages ask anew: by then the browser has no cookie."""
_USAGE: Final = "af-usage.html"


class ProfilesHandler(APIHandler):  # type: ignore[misc]  # untyped upstream
    """What a user may start now, and a stream of it for the spawn page."""

    def initialize(self) -> None:
        """Begin."""
        super().initialize()
        self._gone = False
        self._over = asyncio.Event()

    async def get(self) -> None:
        """Describe the profiles as `af_hub.spawner.page.live.state_of` does.

        Query: ``user`` (another one's name, with the scope ``servers`` for that user), ``server``
        (a named server), ``stream=1`` (server-sent events: the same at the beginning and at each
        change, ``still`` every 15 s, ``again`` at the end).

        Raises
        ------
        web.HTTPError
            403 without the right, 404 if there is no such user or server.
        """
        if self.current_user is None:
            raise web.HTTPError(403, "Log in first.")
        user_name = self.get_query_argument("user", "") or self.current_user.name
        await self._answer(user_name=user_name, server_name=self.get_query_argument("server", ""))

    @needs_scope("servers")  # type: ignore[untyped-decorator]  # JupyterHub's
    async def _answer(self, user_name: str, server_name: str) -> None:
        spawner = self._spawner(user_name, server_name)
        self.set_header("Cache-Control", "no-store")
        if not self.get_query_argument("stream", ""):
            self.finish(json.dumps(state_of(await spawner.page())))
            return
        news = self._news()
        with news.page(self.current_user.name, spawner.glance, self._over.set) as open_:
            if not open_:
                raise web.HTTPError(429, "Too many of your pages are open.")
            await self._stream(news, spawner)

    def _news(self) -> News:
        """Return what tells the hub's open pages."""
        if "af_news" not in self.settings:
            news = self.settings["af_news"] = News()

            def left(user: str) -> None:
                asyncio.get_running_loop().call_later(_LEAVE, news.leave, user)

            listen(self.settings, left)
        found: News = self.settings["af_news"]
        return found

    def _spawner(self, user_name: str, server_name: str) -> RecordedSpawner:
        user = self.find_user(user_name)
        if user is None or (server_name and server_name not in user.orm_user.orm_spawners):
            raise web.HTTPError(404, "There is no such user or server.")
        spawner = user.spawners[server_name] if server_name else user.spawner
        if not isinstance(spawner, RecordedSpawner):
            raise web.HTTPError(404, "Servers of this hub have no profiles.")
        return spawner

    async def _stream(self, news: News, spawner: RecordedSpawner) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")
        offered = await spawner.offers(await spawner.groups())
        alike = repr(offered)
        until, told = time.monotonic() + _LONGEST, ""

        async def compose() -> str:
            return json.dumps(state_of(await spawner.page(offered)))

        while not self._over.is_set() and time.monotonic() < until:
            # before the answer is composed, so that no change is missed
            version = news.version
            # who runs nothing sees what all see to whom the same is offered
            own = spawner.user.name if spawner.user_holds_something else ""
            state = await news.answer((own, alike), compose)
            await self._say("" if state == told else f"data: {state}\n\n")
            told = state
            while not await self._changed(news, version):
                if self._over.is_set() or time.monotonic() > until:
                    break
                await self._say("event: still\ndata:\n\n")
        await self._say("event: again\ndata:\n\n")

    async def _changed(self, news: News, version: int) -> bool:
        """Wait for a change, for a while or until the stream is over."""
        change = asyncio.ensure_future(news.change(version, _KEEPALIVE))
        over = asyncio.ensure_future(self._over.wait())
        await asyncio.wait({change, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if not change.done():
            change.cancel()
            return False
        return change.result()

    async def _say(self, text: str) -> None:
        if self._gone or not text:
            return
        try:
            self.write(text)
            await self.flush()
        except StreamClosedError:
            raise web.Finish from None

    def on_connection_close(self) -> None:
        """Notice that the page is gone."""
        self._gone = True
        self._over.set()
        super().on_connection_close()


class _Administrators:
    """Mixin for handlers: what is for administrators only."""

    # what it uses of JupyterHub's handlers, which are untyped
    current_user: Any
    parsed_scopes: Any
    users: Any
    db: Any

    async def overview(self) -> Overview:
        """Survey the hub for who may see all users and the administrators' pages.

        Raises
        ------
        web.HTTPError
            403 for others; 404 if servers have no profiles, or nobody has ever come to this hub.
        """
        # names of users and groups stand on the page, so the right to the bare page is not enough
        for scope in ("admin-ui", "list:users"):
            if self.parsed_scopes.get(scope) is not Scope.ALL:
                raise web.HTTPError(403, "This is for administrators of the facility.")
        asking = self.current_user
        if isinstance(asking, orm.Service):
            # it has no server, and what everybody uses can be asked of anybody's
            anybody = self.db.query(orm.User).order_by(orm.User.id).first()
            if anybody is None:
                raise web.HTTPError(404, "This hub has no users yet.")
            asking = self.users[anybody]
        if not isinstance(asking.spawner, RecordedSpawner):
            raise web.HTTPError(404, "Servers of this hub have no profiles.")
        return await asking.spawner.overview()


class UsageHandler(_Administrators, APIHandler):  # type: ignore[misc]  # untyped upstream
    """Who uses what, for administrators."""

    async def get(self) -> None:
        """Describe it as `af_hub.spawner.page.overview.Overview.to_json` does."""
        overview = await self.overview()
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(overview.to_json()))


class UsagePage(_Administrators, BaseHandler):  # type: ignore[misc]  # untyped upstream
    """The administrators' page; its script asks `UsageHandler`."""

    def get_template(self, name: str, sync: bool = False) -> Any:
        """Find our template beside those of JupyterHub, without any ``template_paths``."""
        if name != _USAGE:
            return super().get_template(name, sync)
        return self.settings["jinja2_env_sync" if sync else "jinja2_env"].from_string(
            part("usage.html")
        )

    @web.authenticated
    async def get(self) -> None:
        """Show the page."""
        overview = await self.overview()
        html = await self.render_template(
            _USAGE,
            overview=overview.to_json(),
            style=part("spawn.css") + part("usage.css"),
            script=part("usage.js"),
        )
        self.finish(html)


ROUTES: Final = (
    (r"/api/af/profiles", ProfilesHandler),
    (r"/api/af/usage", UsageHandler),
    (r"/af/usage", UsagePage),
)
"""For ``IAMAuthenticator.extra_routes`` (`af_hub.configure` adds them) or `get_handlers` of another
authenticator; below ``/hub``."""
