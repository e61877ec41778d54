"""From the files in the store to containers, datasets and files; knows nothing of Rucio."""

from __future__ import annotations

import json
import os
import re
import zlib
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = re.compile(r"[/A-Za-z0-9][/A-Za-z0-9.\-_]{0,249}")
"""Names that Rucio's generic schema takes (``rucio/common/schema/generic.py``); ``#`` is not among
them, so CMS blocks cannot have their own names."""

SCOPE = re.compile(r"[a-zA-Z_\-.0-9]{1,25}")
"""Scopes that Rucio's generic schema takes."""

TITLES = {"zmumu": "ZMuMu"}
"""Folders whose datasets have a nicer name."""

BLOCK = 2
"""Files in a dataset of the demo, so that a container has more than one of them."""

READ = 2**20
"""Bytes that are read at once."""


@dataclass(frozen=True, slots=True)
class File:
    """A file and its replicas' common path.

    Parameters
    ----------
    name
        Logical file name: ``/store/cms/zmumu/zmumu_0.root``.
    bytes
        Size.
    adler32
        Checksum, eight hexadecimal digits.
    """

    name: str
    bytes: int
    adler32: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset with its container.

    Parameters
    ----------
    scope
        Scope of the dataset, the container and the files.
    container
        Name of the container that it belongs to.
    name
        Name of the dataset.
    files
        Its files.
    """

    scope: str
    container: str
    name: str
    files: tuple[File, ...]


def demo_content(store: Path, sums: Path) -> list[Dataset]:
    """Return the datasets over the files of a store.

    The folder below the store is the scope, the next one decides the dataset. Files whose names
    Rucio's schema does not take are left out.

    Parameters
    ----------
    store
        Folder that storage shows as ``/store``.
    sums
        Where checksums are kept from one start to the next.
    """
    files = _with_sums(store, sums)
    found = []
    for (scope, folder), group in groupby(files.items(), key=lambda item: _place(item[0])):
        title = TITLES.get(folder, folder)
        base = f"/{title}/Simulated"
        members = [file for _, file in group]
        for number, start in enumerate(range(0, len(members), BLOCK), start=1):
            block = tuple(members[start : start + BLOCK])
            found.append(Dataset(scope, f"{base}/CONTAINER", f"{base}/BLOCK-{number}", block))
    return found


def _place(path: str) -> tuple[str, str]:
    scope, folder, *_ = path.split("/")
    return scope, folder


def _with_sums(store: Path, sums: Path) -> dict[str, File]:
    """Return the files by path below the store, in order; only new ones are read."""
    known = _read_sums(sums)
    files: dict[str, File] = {}
    marks: dict[str, list[str | int]] = {}
    for path in sorted(_paths(store)):
        with suppress(FileNotFoundError):  # it went while we looked
            status = (store / path).stat()
            mark = [status.st_size, status.st_mtime_ns]
            before = known.get(path)
            same = before is not None and before[:2] == mark
            adler32 = str(before[2]) if same and before else adler32_of(store / path)
            marks[path] = [*mark, adler32]
            files[path] = File(f"/store/{path}", status.st_size, adler32)
    if marks != known:
        temporary = sums.with_name(f".{sums.name}.{os.getpid()}")
        temporary.write_text(json.dumps(marks), encoding="utf-8")
        temporary.replace(sums)
    return files


def _read_sums(sums: Path) -> dict[str, list[str | int]]:
    try:
        raw = json.loads(sums.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    good = isinstance(raw, dict) and all(isinstance(v, list) and len(v) == 3 for v in raw.values())
    return raw if good else {}


def _paths(store: Path) -> Iterator[str]:
    """Yield the paths of files below ``store/<scope>/<folder>/`` that can have a name in Rucio."""
    for folder, folders, names in os.walk(store):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), store)  # noqa: PTH118
            parts = path.split("/")
            if (
                len(parts) > 2
                and not name.startswith(".")
                and SCOPE.fullmatch(parts[0])
                and NAME.fullmatch(f"/store/{path}")
            ):
                yield path


def adler32_of(path: Path) -> str:
    """Return the Adler-32 checksum of a file as Rucio writes it: eight hexadecimal digits."""
    value = 1
    with path.open("rb") as stream:
        while part := stream.read(READ):
            value = zlib.adler32(part, value)
    return f"{value:08x}"
