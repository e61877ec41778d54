"""JupyterLab side of an analysis facility: tokens, data browser, Dask panel.

In a notebook, a script or on a Dask worker::

    from af_labextension import token

    headers = {"Authorization": f"Bearer {token('storage')}"}

Importing this package costs next to nothing, and every Python of the environment does
(`af_labextension.readers.start`): the server extension is loaded only when Jupyter asks for it, and
what is for code only when code uses it.
"""

from __future__ import annotations

# what type checkers take for typing.TYPE_CHECKING: importing typing takes longer than all the rest
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .code import NoToken, token

__all__ = ["NoToken", "token"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import code  # noqa: PLC0415 - see the module's text

    return getattr(code, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Tell JupyterLab where the built front end lies."""
    return [{"src": "labextension", "dest": "af-labextension"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell Jupyter Server which extension this package brings."""
    from .app import FacilityExtension  # noqa: PLC0415 - kernels import the package, never the app

    return [{"module": "af_labextension.app", "app": FacilityExtension}]


def load_ipython_extension(ipython: Any) -> None:
    """Do what ``%load_ext af_labextension`` is for: readers survive, and `token` is at hand.

    The readers of the facility's own environments are prepared without it
    (`af_labextension.readers.start`). It is for a kernel of another environment that finds this
    package by ``PYTHONPATH`` or was started by ``python -S``; a second time changes nothing.
    """
    from .readers import start  # noqa: PLC0415 - see the module's text

    start.install()
    if "token" not in ipython.user_ns:
        ipython.push({"token": __getattr__("token")}, interactive=False)


def unload_ipython_extension(ipython: Any) -> None:
    """Take `token` away again, unless the user has another one."""
    ipython.drop_by_id({"token": __getattr__("token")})
