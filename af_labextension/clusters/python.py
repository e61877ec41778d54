"""The kernel's Python, which runs clusters inside the user's server: what it has."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from .manager.launch import command

if TYPE_CHECKING:
    from collections.abc import Callable

    from .kinds import Kind

log = logging.getLogger(__name__)

DESCRIBED_FOR = 60.0
"""Seconds for which what it has is taken from memory."""

DESCRIBE_LIMIT = 30.0
"""Seconds for it to tell what it has; 0.3 on a quiet machine."""


class KernelPython:
    """Knows what the kernel's Python has, without importing any of it here.

    Parameters
    ----------
    path
        Gives the program; it may change while the server runs.
    """

    def __init__(self, path: Callable[[], str]) -> None:
        self._path = path
        self._described: dict[str, Any] | None = None
        self._described_until = 0.0
        self._describing: asyncio.Task[None] | None = None

    @property
    def path(self) -> str:
        """The program."""
        return self._path()

    async def has(self) -> dict[str, Any]:
        """Return what `describe.described` tells; what is older than a minute is renewed."""
        if self._describing is None and time.monotonic() > self._described_until:
            self._describing = asyncio.create_task(self._renew())
        if self._described is None and self._describing is not None:
            await asyncio.shield(self._describing)
        return self._described or {}

    async def _renew(self) -> None:
        try:
            self._described = await self._describe()
        finally:
            self._described_until = time.monotonic() + DESCRIBED_FOR
            self._describing = None

    async def _describe(self) -> dict[str, Any]:
        process: asyncio.subprocess.Process | None = None
        try:
            async with asyncio.timeout(DESCRIBE_LIMIT):
                process = await asyncio.create_subprocess_exec(
                    *command(self.path, "describe"),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                )
                told, _ = await process.communicate()
            # imports may print before
            found = json.loads(told.splitlines()[-1])
        except (OSError, TimeoutError, ValueError, IndexError) as error:
            log.warning("the kernel's Python: %s %s", type(error).__name__, error)
            return {"problem": type(error).__name__}
        finally:
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()
        return dict(found)

    async def close(self) -> None:
        """Ask no longer."""
        if self._describing is not None:
            self._describing.cancel()
            await asyncio.gather(self._describing, return_exceptions=True)


def missing(has: dict[str, Any], kind: Kind) -> str | None:
    """Say what the kernel's Python lacks for a type."""
    if not has.get("distributed"):
        return "The kernel's Python has no package distributed."
    if kind.is_local and not has.get("cryptography"):
        return (
            "The kernel's Python has no package cryptography, without which other users of this"
            " machine could use your cluster."
        )
    return None
