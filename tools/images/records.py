"""What was built: an archive, its bill of materials and a record, all named by the tag."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Record:
    """One built image.

    Parameters
    ----------
    name
        The image's name.
    tag
        First digits of the hash of its inputs.
    reference
        What Kubernetes and buildah call it.
    archive
        Path of the OCI archive.
    sbom
        Path of the CycloneDX document.
    size
        Bytes of the archive; its layers are compressed.
    unpacked
        Bytes of the files in it.
    seconds
        What building took.
    inputs
        What went into the hash.
    """

    name: str
    tag: str
    reference: str
    archive: str
    sbom: str
    size: int
    unpacked: int
    seconds: float
    inputs: Mapping[str, str]


def reference_of(name: str, tag: str) -> str:
    """Return the reference of an image; it names no registry, so nothing tries to pull it."""
    return f"localhost/af/{name}:{tag}"


def archive_path(home: Path, name: str, tag: str) -> Path:
    """Return where the archive of an image is or will be."""
    return home / f"{name}-{tag}.oci.tar"


def sbom_path(home: Path, name: str, tag: str) -> Path:
    """Return where the bill of materials of an image is or will be."""
    return home / f"{name}-{tag}.cdx.json"


def record_path(home: Path, name: str, tag: str) -> Path:
    """Return where the record of an image is or will be."""
    return home / f"{name}-{tag}.json"


def find(home: Path, name: str, tag: str) -> Record | None:
    """Return the record of an image if it is whole, and mark it as used."""
    path = record_path(home, name, tag)
    try:
        record = Record(**json.loads(path.read_text()))
        whole = Path(record.archive).stat().st_size == record.size and Path(record.sbom).is_file()
    except (OSError, ValueError, TypeError):
        return None
    if not whole:
        return None
    os.utime(path)
    return record


def write(home: Path, record: Record) -> None:
    """Keep a record; ``NAME.json`` is the last one that was built of each name."""
    path = record_path(home, record.name, record.tag)
    write_whole(path, json.dumps(asdict(record), indent=1) + "\n")
    link = home / f".{record.name}.link"
    link.unlink(missing_ok=True)
    link.symlink_to(path.name)
    link.replace(home / f"{record.name}.json")


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all, even if the machine stops."""
    # two builders may write their settings at once
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
