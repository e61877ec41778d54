"""A token file for each audience: ``$AF_TOKEN_DIR/<audience>``.

``$BEARER_TOKEN_FILE`` can hold one token only. Programs that speak to another service, for example
Rucio's client, find the token for it here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from af_labextension.errors import LabError
from af_labextension.repeating import Repeating

from .bearer_file import BearerFile
from .keeper import LONGEST_NAP, RETRY_PAUSE, TokenKeeper

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from .model import TokenState
    from .provider import TokenProvider

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names of audiences as the hub takes them; so no name leads out of the folder."""


class AudienceFiles:
    """Keep the files valid from `start` to `stop`.

    Parameters
    ----------
    provider
        Where tokens come from.
    folder
        Where they go; each file as `af_labextension.tokens.keeper.TokenKeeper` keeps it.
    audiences
        Gives the names of the audiences. It is asked again and again: the facility may change, and
        the hub may be away when the Lab starts.
    keeper
        Makes the keeper of one file; a test gives its own.
    """

    def __init__(
        self,
        provider: TokenProvider,
        folder: Path,
        audiences: Callable[[], Awaitable[Iterable[str]]],
        *,
        keeper: Callable[
            [TokenProvider, BearerFile, Callable[[], Awaitable[str | None]]], TokenKeeper
        ] = TokenKeeper,
    ) -> None:
        self._provider = provider
        self._folder = folder
        self._audiences = audiences
        self._keeper = keeper
        self._keepers: dict[str, TokenKeeper] = {}
        self._looking = Repeating("audience-files", self.look)

    def start(self) -> None:
        """Begin keeping the files."""
        self._looking.start()

    async def stop(self) -> None:
        """End, and take the files away."""
        await self._looking.stop()
        for audience in tuple(self._keepers):
            await self._keepers.pop(audience).stop()

    def refine(self, state: TokenState) -> TokenState:
        """Add to a token's state that its file cannot be written, if that is so."""
        keeper = self._keepers.get(state.audience)
        return keeper.refine(state) if keeper else state

    async def look_into_files(self) -> None:
        """Renew each file now if it is time."""
        for keeper in tuple(self._keepers.values()):
            await keeper.look()

    async def look(self) -> float:
        """Keep a file for each audience there is now, and no others; return seconds until again."""
        try:
            wanted = {name for name in await self._audiences() if _NAME.fullmatch(name)}
        except LabError:
            return RETRY_PAUSE if not self._keepers else LONGEST_NAP
        for gone in self._keepers.keys() - wanted:
            await self._keepers.pop(gone).stop()
        for new in sorted(wanted - self._keepers.keys()):
            self._keepers[new] = self._keeper(
                self._provider, BearerFile(self._folder / new), _constant(new)
            )
            self._keepers[new].start()
        return LONGEST_NAP


def _constant(audience: str) -> Callable[[], Awaitable[str | None]]:
    """Give a function that names one audience."""

    async def name() -> str | None:
        return audience

    return name
