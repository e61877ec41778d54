"""Tells whoever in the hub wants to know that a user has logged out, as open pages do.

JupyterHub keeps no list of browsers that are logged in: a logout takes the cookie away from one. What
was opened with it, such as a stream, would go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_LISTENERS: Final = "af_logout_listeners"


def listen(settings: dict[str, Any], listener: Callable[[str], None]) -> None:
    """Be told of logouts.

    Parameters
    ----------
    settings
        Those of the hub's web application.
    listener
        Called with the user's name, soon after the browser was answered.
    """
    settings.setdefault(_LISTENERS, []).append(listener)


class TellsOfLogouts:
    """Mixin that stands before a subclass of JupyterHub's ``LogoutHandler`` in the list of bases."""

    # what it uses of JupyterHub's handler, which is untyped
    current_user: Any
    get_current_user_cookie: Any
    settings: Any

    _leaving: str | None = None

    async def handle_logout(self) -> None:
        """Keep in mind who it is: the page at the end is made for nobody."""
        user = self.current_user or self.get_current_user_cookie()
        self._leaving = None if user is None else user.name
        await super().handle_logout()  # type: ignore[misc]  # JupyterHub's

    def on_finish(self) -> None:
        """Tell, now that the browser has been told to forget its cookie."""
        super().on_finish()  # type: ignore[misc]  # tornado's
        if self._leaving is not None:
            for listener in self.settings.get(_LISTENERS, ()):
                listener(self._leaving)
