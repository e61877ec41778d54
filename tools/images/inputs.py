"""The hash of everything an image is made from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from tools.images.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

TAG_LENGTH = 12
"""Hexadecimal digits of a tag."""


def tracked(root: Path, *places: str) -> list[str]:
    """List the tracked files at or below `places`, relative to `root`, in order.

    Only these count and only these are copied, so what lies about in a checkout never changes an
    image. Changes that are not committed do count.

    Raises
    ------
    ImageError
        There is no git, no repository, or nothing is tracked at one of the places.
    """
    command = ["git", "-C", str(root), "ls-files", "-z", "--", *places]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise ImageError(
            f"git cannot list the files of {root}: images are built from a git checkout."
        ) from error
    names = sorted(name for name in listed.split("\0") if name and (root / name).is_file())
    for place in places:
        if not any(name == place or name.startswith(f"{place}/") for name in names):
            raise ImageError(f"{place} is not tracked by git, or empty: `git add` it first.")
    return names


def fingerprint(root: Path, names: Iterable[str]) -> str:
    """Return a hash of the names, contents and execute bits of files below `root`."""
    digest = hashlib.sha256()
    for name in sorted(names):
        path = root / name
        kind = "x" if os.access(path, os.X_OK) else "-"
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{kind} {content} {name}\n".encode())
    return digest.hexdigest()


def tag(inputs: Mapping[str, str]) -> str:
    """Return the tag of an image that is made from `inputs`."""
    text = json.dumps(dict(inputs), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:TAG_LENGTH]


def copy(root: Path, names: Iterable[str], target: Path) -> None:
    """Copy files below `root` to the same places below `target`, with modes that tell only ``x``.

    A checkout made under another umask gives the same image.
    """
    for name in names:
        to = target / name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, to)
        to.chmod(0o755 if os.access(root / name, os.X_OK) else 0o644)
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
