"""The ways to look into a door: one for each protocol, alike for the handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .webdav import WebDAV
from .xrootd.client import XRootD

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from af_labextension.rows import Page
    from af_labextension.tokens.provider import TokenProvider

    from .doors import Door


class Source(Protocol):
    """Looks into doors of one protocol."""

    def pages(self, door: Door, path: str) -> AsyncGenerator[Page, None]:
        """Give the rows of a folder as they come; raises `LabError`."""

    async def stat(self, door: Door, path: str, names: list[str]) -> list[dict[str, Any]]:
        """Tell name, type, size and time of names in a folder; raises `LabError`."""

    async def close(self) -> None:
        """End what runs and close connections."""


class Sources:
    """All sources of a Lab.

    Parameters
    ----------
    tokens
        Where tokens come from.
    """

    def __init__(self, tokens: TokenProvider) -> None:
        self.webdav = WebDAV(tokens)
        self.xrootd = XRootD(tokens)

    def of(self, door: Door) -> Source:
        """Return what looks into a door."""
        return self.xrootd if door.kind == "xrootd" else self.webdav

    async def close(self) -> None:
        """Close all."""
        await self.xrootd.close()
        await self.webdav.close()
