"""What stays of the images that were built, and what goes.

The records decide: of each image those that were used last stay, and those that a process holds.
Whatever no record names goes, from the folder and from buildah's storage. Called in one's turn.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from tools.images import records
from tools.images.errors import ImageError

if TYPE_CHECKING:
    from pathlib import Path

    from tools.images.engine import Engine
    from tools.images.places import Places

KEPT = 2
"""Images kept of each name beside those that are held; ``AF_IMAGES_KEPT`` says another number."""

WHEELS = 8
"""Wheels and front ends that are kept; one takes a megabyte."""

_FILE = re.compile(r"(?P<name>[a-z0-9-]+)-(?P<tag>[0-9a-f]{12})\.(?P<kind>json|cdx\.json|oci\.tar)")
_OURS = re.compile(r"localhost/af/(?P<name>[a-z0-9-]+):(?P<tag>[0-9a-f]{12})")
_BASE = "localhost/af/debian:"

_held: dict[Path, int] = {}


def hold(home: Path, record: records.Record) -> bool:
    """Keep an image's files for as long as this process lives; return False if they are gone."""
    path = records.record_path(home, record.name, record.tag)
    if path in _held:
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    # whoever removes it holds the lock meanwhile
    if not path.exists():
        os.close(descriptor)
        return False
    _held[path] = descriptor
    return True


def number_kept() -> int:
    """Return how many images of each name stay.

    Raises
    ------
    ImageError
        ``AF_IMAGES_KEPT`` is no number from 1 on.
    """
    text = os.environ.get("AF_IMAGES_KEPT") or str(KEPT)
    if not text.isdecimal() or int(text) < 1:
        raise ImageError(f"AF_IMAGES_KEPT is {text!r}; it takes a number from 1 on.")
    return int(text)


def tidy(places: Places, engine: Engine) -> None:
    """Remove what is neither among the last ones that were used nor held."""
    _forget_records(places.home, number_kept())
    named = {(file["name"], file["tag"]) for file in _files(places.home) if file["kind"] == "json"}
    for file in _files(places.home):
        # half of an image whose builder was killed, or whose record has gone
        if (file["name"], file["tag"]) not in named:
            (places.home / file[0]).unlink()
    for link in places.home.glob("*.json"):
        if link.is_symlink() and not link.exists():
            link.unlink()
    _clean_storage(engine, {records.reference_of(*each) for each in named} | _bases(places.home))
    for old in _newest_first(list(places.wheels.iterdir()))[WHEELS:]:
        shutil.rmtree(old)


def _files(home: Path) -> list[re.Match[str]]:
    return [match for path in home.iterdir() if (match := _FILE.fullmatch(path.name))]


def _newest_first(paths: list[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _forget_records(home: Path, number: int) -> None:
    names: dict[str, list[Path]] = {}
    for file in _files(home):
        if file["kind"] == "json":
            names.setdefault(file["name"], []).append(home / file[0])
    for paths in names.values():
        for path in _newest_first(paths)[number:]:
            with path.open() as record, suppress(BlockingIOError):
                fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def _bases(home: Path) -> set[str]:
    found = set()
    for path in home.glob("debian-*.json"):
        with suppress(ValueError, KeyError):
            found.add(json.loads(path.read_text())["reference"])
    return found


def _clean_storage(engine: Engine, named: set[str]) -> None:
    used = engine.used()
    for reference in engine.references():
        ours = _OURS.fullmatch(reference) or reference.startswith(_BASE)
        if ours and reference not in named | used:
            engine.ask("rmi", reference)
    engine.ask("rmi", "--prune")
