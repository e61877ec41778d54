"""What counts as use of a Jupyter server.

Jupyter Server keeps account of it: kernels, terminals, requests. A page of JupyterLab asks for lists
every ten seconds, though, as long as it is in sight, and then saves its layout; that counts as requests
of a user (JupyterLab 4.6 does not send ``no_track_activity``, which Jupyter Server has for that). So
these do not count here, and the page says itself when its user does something.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_POLLED = (
    ("jupyter_server.services.kernels.handlers", "MainKernelHandler"),
    ("jupyter_server.services.kernels.handlers", "KernelHandler"),
    ("jupyter_server.services.kernelspecs.handlers", "MainKernelSpecHandler"),
    ("jupyter_server.services.sessions.handlers", "SessionRootHandler"),
    ("jupyter_server.services.sessions.handlers", "SessionHandler"),
    ("jupyter_server.services.contents.handlers", "ContentsHandler"),
    ("jupyter_server_terminals.api_handlers", "TerminalRootHandler"),
)
"""Handlers of the lists for which a page asks by itself."""

_KEPT = (("jupyterlab_server.workspaces_handler", "WorkspacesHandler"),)
"""Handlers of what a page also writes by itself: its layout, each time after it has listed files."""


def _changes_something(handler: Any) -> bool:
    return handler.request.method not in {"GET", "HEAD"}


def leave_out_polls() -> None:
    """Take questions for lists out of Jupyter Server's account, and out of what JupyterHub is told."""
    for names, counts in ((_POLLED, property(_changes_something)), (_KEPT, False)):
        for module, name in names:
            try:
                handler = getattr(import_module(module), name)
            except (ImportError, AttributeError):  # a server without terminals, or a newer one
                continue
            handler._track_activity = counts  # noqa: SLF001 - meant to be set


class ServerActivity:
    """When a server was used last.

    Parameters
    ----------
    server
        The Jupyter server.
    clock
        Seconds since 1970.
    """

    def __init__(self, server: Any, clock: Callable[[], float] = time.time) -> None:
        self._server = server
        self._clock = clock
        self._used_at = 0.0

    def used(self) -> None:
        """Take note that the user does something now."""
        self._used_at = self._clock()

    def last(self) -> float:
        """Return the time of the last activity; now while a kernel works."""
        if self._busy():
            return self._clock()
        return max(float(self._server.web_app.last_activity().timestamp()), self._used_at)

    def _busy(self) -> bool:
        kernels = self._server.kernel_manager
        for kernel in kernels.list_kernel_ids():
            try:
                state = getattr(kernels.get_kernel(kernel), "execution_state", "")
            except Exception:  # noqa: BLE001, S112 - it has just been shut down
                continue
            if state == "busy":
                return True
        return False
