"""Code that reads a DID: from its replicas to what a user puts into a notebook."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from af_labextension.data.snippets import addresses_for, reading_urls_code
from af_labextension.errors import BadRequest, Refused

from .fileset import write_fileset
from .refusals import garbage
from .rules import FileReplicas, file_replicas

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from af_labextension.data.doors import Doors
    from af_labextension.data.snippets import Library

    from .client import RucioClient
    from .model import Did, Kind
    from .settings import RucioPlace

MOST_IN_CODE = 200
"""Addresses that stand in the code itself; more go into a JSON file."""

MOST_FILES = 20_000
"""Files of one dataset: ten seconds of a Rucio with a cache, and 3 MB of addresses."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Code for a DID.

    Parameters
    ----------
    code
        Python.
    urls
        The addresses that it opens.
    left_out
        Files that have no replica for this Lab.
    fileset
        The JSON file with the addresses, ``None`` where they stand in the code.
    """

    code: str
    urls: tuple[str, ...]
    left_out: int
    fileset: Path | None

    def as_json(self) -> dict[str, Any]:
        """Return the answer of ``GET af/rucio/code``."""
        return {
            "code": self.code,
            "url": self.urls[0] if len(self.urls) == 1 else None,
            "files": len(self.urls),
            "left_out": self.left_out,
            "fileset": str(self.fileset) if self.fileset else None,
        }


class Reader:
    """Find the replicas of a DID and write code that reads them.

    Parameters
    ----------
    rucio
        The client.
    place
        Knows the cache rules.
    doors
        The storage that this Lab knows.
    """

    def __init__(self, rucio: RucioClient, place: RucioPlace, doors: Doors) -> None:
        self._rucio = rucio
        self._place = place
        self._doors = doors

    async def replicas(self, dids: Sequence[Did]) -> list[FileReplicas]:
        """Return the replicas of files, or of the files of collections; sorted by name."""
        rules, doors = await self._place.rules(), await self._doors.all()
        found: dict[Did, FileReplicas] = {}
        async with aclosing(self._rucio.replicas(dids)) as batches:
            async for batch in batches:
                try:
                    entries = [file_replicas(row, rules, doors) for row in batch]
                except ValueError as error:
                    raise garbage(str(error)) from error
                found.update({entry.did: entry for entry in entries})
        return sorted(found.values(), key=lambda entry: (entry.did.scope, entry.did.name))

    async def code(self, did: Did, kind: Kind, library: Library, root: Path) -> Reading:
        """Write code that reads a file, or all files of a dataset or container.

        Parameters
        ----------
        root
            Folder that the Lab shows, for the JSON file of a large dataset.

        Raises
        ------
        Refused
            ``no-replica``: there is none that this Lab can open.
        BadRequest
            ``too-many-files``.
        """
        total = 1 if kind == "file" else await self._count(did)
        files = await self.replicas([did]) if total else []
        urls = tuple(file.replicas[0].url for file in files if file.replicas)
        if not urls:
            raise Refused(
                "no-replica",
                f"No file of {did} has a replica that this Lab can open."
                if total
                else f"{did} has no files.",
                status=404,
            )
        doors, left_out = await self._doors.all(), max(0, total - len(urls))
        fileset = None
        if len(urls) > MOST_IN_CODE:
            listed = addresses_for(urls, library)
            fileset = await asyncio.to_thread(write_fileset, root, did, listed)
        code = reading_urls_code(
            urls, library, doors, name=did.name, fileset=str(fileset) if fileset else None
        )
        if left_out:
            code = f"# {left_out} of {total} files have no replica that this Lab can open\n{code}"
        return Reading(code, urls, left_out, fileset)

    async def _count(self, did: Did) -> int:
        """Count the files of a collection, as far as they may be."""
        seen: set[tuple[object, object]] = set()
        async with aclosing(self._rucio.files(did)) as batches:
            async for batch in batches:
                seen.update((row.get("scope"), row.get("name")) for row in batch)
                if len(seen) > MOST_FILES:
                    raise BadRequest(
                        "too-many-files",
                        f"{did} has more than {MOST_FILES:,} files. Open a part of it: one of its"
                        " datasets, or a selection of files.",
                    )
        return len(seen)
