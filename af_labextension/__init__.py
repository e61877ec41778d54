"""JupyterLab side of an analysis facility: tokens, data browser, Dask panel.

Importing this package costs next to nothing, and every Python of the environment does
(`af_labextension.readers.start`): the server extension is loaded only when Jupyter asks for it.
"""

from __future__ import annotations

# what type checkers take for typing.TYPE_CHECKING: importing typing takes longer than all the rest
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Tell JupyterLab where the built front end lies."""
    return [{"src": "labextension", "dest": "af-labextension"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell Jupyter Server which extension this package brings."""
    from .app import FacilityExtension  # noqa: PLC0415 - kernels import the package, never the app

    return [{"module": "af_labextension.app", "app": FacilityExtension}]
