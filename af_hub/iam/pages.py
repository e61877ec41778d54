"""Pages of login and logout: a title, a sentence, a next step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jupyterhub.handlers.base import BaseHandler
from tornado import web

from af_hub.errors import IAMUnavailable, Refusal, SessionOver

if TYPE_CHECKING:
    from af_hub.errors import AFError

_NAME: Final = "af-panel.html"
_SOURCE: Final = (Path(__file__).with_name("templates") / "panel.html").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Link:
    """Where to go next.

    Parameters
    ----------
    url
        Address; it was not given by a user.
    text
        What the link says.
    """

    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Panel:
    """What one of our pages says; the template escapes it.

    Parameters
    ----------
    name
        Identifier of the element, for tests and style sheets of others.
    title
        Heading.
    sentences
        One paragraph each.
    button
        The next step.
    link
        A second way to go.
    code
        Stable code of an error.
    """

    name: str
    title: str
    sentences: tuple[str, ...]
    button: Link | None = None
    link: Link | None = None
    code: str = ""


class PageError(web.HTTPError):
    """An error that `PanelHandler` makes a page of.

    Parameters
    ----------
    error
        What happened; its message is shown, its detail is only logged.
    again
        Address of a button to try again; empty for none.
    """

    def __init__(self, error: AFError, *, again: str = "") -> None:
        super().__init__(error.status, "%s: %s", error.code, error.detail, reason=_title(error))
        self.panel = Panel(
            name="af-login-error",
            title=_title(error),
            sentences=(error.message,),
            button=Link(again, "Try again") if again else None,
            code=error.code,
        )


class PanelHandler(BaseHandler):  # type: ignore[misc]  # untyped upstream
    """Shows panels; mixin for JupyterHub's handlers, works without any ``template_paths``."""

    def get_template(self, name: str, sync: bool = False) -> Any:
        """Find our template beside those of JupyterHub."""
        if name != _NAME:
            return super().get_template(name, sync)
        return self.settings["jinja2_env_sync" if sync else "jinja2_env"].from_string(_SOURCE)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Make a page of a `PageError`; everything else is JupyterHub's."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        if not isinstance(error, PageError):
            super().write_error(status_code, **kwargs)
            return
        self.set_header("Content-Type", "text/html")
        self.finish(self.render_template(_NAME, sync=True, panel=error.panel))

    async def show(self, panel: Panel) -> None:
        """Answer with a page."""
        self.finish(await self.render_template(_NAME, panel=panel))


@dataclass(frozen=True, slots=True)
class Ended:
    """What a logout achieved.

    Parameters
    ----------
    revoked
        Whether the identity provider has ended the tokens.
    until
        When the last access token ends that may still be used somewhere, seconds since the
        epoch: any of the user's where they were not revoked; else those that servers got, which
        storage may accept without asking the provider. 0 = there is none.
    code
        Why revoking failed; empty if it did not, or was not tried.
    """

    revoked: bool = False
    until: float = 0.0
    code: str = ""


def logged_out(ended: Ended, *, now: float, login_url: str, provider_url: str) -> Panel:
    """Say what a logout has ended and what may live on.

    Parameters
    ----------
    ended
        What was achieved.
    now
        The time, seconds since the epoch.
    login_url
        The hub's login.
    provider_url
        The identity provider's own logout; empty if it is not known.

    Returns
    -------
    Panel
        The page.
    """
    first = "The facility has forgotten your tokens."
    if ended.revoked:
        first = (
            "The facility has forgotten your tokens and has ended them at the identity provider."
        )
    elif ended.code:
        first = (
            "The facility has forgotten your tokens, but could not end them at the identity "
            "provider, which did not do as it was asked."
        )
    sentences = [first]
    if ended.until > now:
        sentences.append(
            "Copies that your servers hold may still open data, "
            f"but no later than {_clock(ended.until)}."
        )
    link = None
    if provider_url:
        sentences.append("You may still be logged in at the identity provider itself.")
        link = Link(provider_url, "End that login too")
    return Panel(
        name="af-logged-out",
        title="You are logged out",
        sentences=tuple(sentences),
        button=Link(login_url, "Log in again"),
        link=link,
        code=ended.code,
    )


def keeps_working(error: IAMUnavailable, until: float) -> IAMUnavailable:
    """Return the error for somebody who is logged in: with how long that lasts.

    Parameters
    ----------
    error
        Why the identity provider was of no help.
    until
        When the login ends if it stays so, seconds since the epoch.
    """
    return IAMUnavailable(
        error.code,
        f"{error.message} You stay logged in and your servers keep working until {_clock(until)}.",
        error.detail,
    )


def _clock(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%H:%M} UTC"


def _title(error: AFError) -> str:
    if isinstance(error, Refusal):
        return "You may not use this facility"
    if isinstance(error, IAMUnavailable):
        return "The identity provider does not answer"
    if isinstance(error, SessionOver):
        return "Your login has ended"
    return "The login did not work"
