"""The ways to look into a door: one for each protocol, alike for the handlers."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from af_labextension.rows import Page
    from af_labextension.tokens.provider import TokenProvider

    from .doors import Door
    from .webdav import WebDAV
    from .xrootd.client import XRootD


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
        self._tokens = tokens

    # made when somebody looks: a Lab's start waits for nothing that only looking needs

    @cached_property
    def webdav(self) -> WebDAV:
        """Looks into doors of https."""
        from .webdav import WebDAV  # noqa: PLC0415 - not in each start

        return WebDAV(self._tokens)

    @cached_property
    def xrootd(self) -> XRootD:
        """Looks into doors of XRootD."""
        from .xrootd.client import XRootD  # noqa: PLC0415 - not in each start

        return XRootD(self._tokens)

    def of(self, door: Door) -> Source:
        """Return what looks into a door."""
        return self.xrootd if door.kind == "xrootd" else self.webdav

    async def close(self) -> None:
        """Close those that were made."""
        made = vars(self)
        if "xrootd" in made:
            await self.xrootd.close()
        if "webdav" in made:
            await self.webdav.close()
