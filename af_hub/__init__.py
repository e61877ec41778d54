"""The hub side of analysis-facility."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from af_hub.facility.configure import configure

__all__ = ["configure"]


def __getattr__(name: str) -> Any:
    """Import `configure` at its first use: importing this package stays cheap."""
    if name == "configure":
        from af_hub.facility.configure import configure  # noqa: PLC0415  pulls in JupyterHub

        return configure
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
