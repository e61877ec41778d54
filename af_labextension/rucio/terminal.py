"""Keep ``$RUCIO_CONFIG`` as the facility says."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from af_labextension.errand import Errand
from af_labextension.errors import FileTrouble, LabError
from af_labextension.owner_file import prepare_folder, replace_file, sweep_leftovers
from af_labextension.repeating import Repeating

from .client_file import is_ours, rendered

if TYPE_CHECKING:
    from pathlib import Path

    from .settings import RucioPlace

log = logging.getLogger(__name__)

_PAUSE, _RETRY = 30.0, 5.0
"""Seconds between two looks; until the hub has answered for the first time, and after."""


class TerminalConfig:
    """Keep the configuration of Rucio's client from `start` to `stop`.

    A file that is not of our making is left alone.

    Parameters
    ----------
    place
        Where Rucio is.
    path
        The file.
    token_folder
        Where the token files of the audiences are.
    ca_bundle
        PEM file with the authorities for https.
    """

    def __init__(
        self, place: RucioPlace, path: Path, token_folder: Path, ca_bundle: str | None
    ) -> None:
        self._place = place
        self._path = path
        self._token_folder = token_folder
        self._ca_bundle = ca_bundle
        self._errand = Errand()
        self._looking = Repeating("rucio-config", self.look, pause=_PAUSE)

    def start(self) -> None:
        """Begin keeping the file."""
        self._looking.start()

    async def stop(self) -> None:
        """End, and take the file away."""
        await self._looking.stop()
        await self._errand.finished()
        await asyncio.to_thread(self._put, None)

    async def look(self) -> float:
        """Write the file if it should be another; return the seconds until the next look."""
        try:
            server = await self._place.find()
        except LabError:
            return _RETRY
        text = (
            rendered(server, self._token_folder, server.ca_file or self._ca_bundle)
            if server
            else None
        )
        await self._errand.run(self._put, text)
        return _PAUSE

    def _put(self, text: str | None) -> None:
        """Replace the file, or remove it for ``None``."""
        try:
            there = self._path.read_text() if self._path.exists() else None
            if there == text or (there is not None and not is_ours(there)):
                return
            if text is None:
                self._path.unlink(missing_ok=True)
            else:
                sweep_leftovers(self._path)
                prepare_folder(self._path.parent)
                replace_file(self._path, text.encode())
        except (OSError, ValueError, FileTrouble) as error:
            log.warning("%s is not kept: %s", self._path, type(error).__name__)
