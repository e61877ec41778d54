"""A dataset's addresses in a JSON file: what is too long for a notebook's cell. Pure.

The file has the shape of a coffea fileset, so that ``json.load`` gives one::

    {"/ZMuMu/…": {"files": {"root://…": "Events"}, "metadata": {"rucio": "cms:/ZMuMu/…", …}}}
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from af_labextension.data.snippets import TREE
from af_labextension.errors import FileTrouble
from af_labextension.owner_file import replace_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .model import Did

FOLDER = "filesets"
"""Folder below the one that the Lab shows."""

_MAKER = "analysis-facility"
_LARGEST = 64 * 1024 * 1024
_TRIES = 9


def file_name(did: Did) -> str:
    """Return a file name for a DID, without ``.json``: readable, safe, and different for each.

    Examples
    --------
    >>> from af_labextension.rucio.model import Did
    >>> file_name(Did("cms", "/ZMuMu/Run 1"))
    'cms-ZMuMu-Run-1-e07d34a2'
    """
    readable = re.sub(r"[^A-Za-z0-9._]+", "-", f"{did.scope}-{did.name}").strip("-.")[:80]
    digest = hashlib.sha256(f"{did.scope}\0{did.name}".encode()).hexdigest()[:8]
    return f"{readable}-{digest}"


def write_fileset(root: Path, did: Did, urls: Sequence[str]) -> Path:
    """Write the addresses of a dataset's files; blocks, so call it in a thread.

    A file of ours for the same DID is replaced as a whole; any other file is left alone.

    Parameters
    ----------
    root
        Folder that the Lab shows.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileTrouble
        ``fileset-file``: it cannot be written.
    """
    about = {"rucio": str(did), "made_by": _MAKER}
    content = {did.name: {"files": dict.fromkeys(urls, TREE), "metadata": about}}
    try:
        folder = root / FOLDER
        folder.mkdir(exist_ok=True)
        path = _free_path(folder, did)
        replace_file(path, (json.dumps(content, indent=1) + "\n").encode())
    except OSError as error:
        raise FileTrouble(
            "fileset-file",
            f"The list of files cannot be written below {root}: {error.strerror or error}."
            " Free space, or choose a smaller dataset.",
            detail=type(error).__name__,
        ) from error
    return path


def _free_path(folder: Path, did: Did) -> Path:
    """Return a path that is free, or has a file of ours for this DID."""
    name = file_name(did)
    for number in range(1, _TRIES + 1):
        path = folder / (f"{name}.json" if number == 1 else f"{name}-{number}.json")
        if (not path.exists() and not path.is_symlink()) or _is_ours(path, did):
            return path
    raise FileTrouble(
        "fileset-file",
        f"Files of yours have all the names that the list of files could take in {folder}."
        " Move them elsewhere.",
    )


def _is_ours(path: Path, did: Did) -> bool:
    """Tell whether a file is our list for this DID."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
        return False
    try:
        content = json.loads(path.read_bytes())
        about = content[did.name]["metadata"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
    return bool(about == {"rucio": str(did), "made_by": _MAKER})
