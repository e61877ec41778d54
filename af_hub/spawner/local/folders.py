"""Folders of one user on one machine: home, runtime, log, examples."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,46}", re.ASCII)
_RECORD = ".af-examples.json"


def folder_name(user: str) -> str:
    """Give a user name a folder name that is safe, and different for different users.

    Examples
    --------
    >>> folder_name("alice")
    'alice'
    >>> folder_name("a/../b")
    'a-b---fe24dee3'
    """
    if _PLAIN.fullmatch(user) and "---" not in user:
        return user
    readable = re.sub(r"[^a-z0-9]+", "-", user.lower()).strip("-")[:32] or "user"
    digest = hashlib.sha256(user.encode()).hexdigest()[:8]
    return f"{readable}---{digest}"


@dataclass(frozen=True, slots=True)
class Folders:
    """The places of one server.

    Parameters
    ----------
    home
        The user's own folder; kept.
    runtime
        Short-lived private files of this server, such as the token file; removed at its end.
    log
        File with what the Lab prints.
    uid
        System user that the Lab runs as.
    """

    home: Path
    runtime: Path
    log: Path
    uid: int = field(default_factory=os.geteuid)

    @property
    def token_file(self) -> Path:
        """Where the Lab keeps the bearer token.

        ``BEARER_TOKEN_FILE`` names it, and it also is what programs find that look into
        ``XDG_RUNTIME_DIR`` by themselves (WLCG Bearer Token Discovery): one file, which no second
        one can differ from.
        """
        return self.runtime / f"bt_u{self.uid}"

    @property
    def tokens(self) -> Path:
        """Where the Lab keeps the tokens of single audiences, one file each."""
        return self.runtime / "tokens"

    @property
    def agent_socket(self) -> Path:
        """Where the Lab answers programs that speak to oidc-agent."""
        return self.runtime / "oidc-agent"

    @property
    def rucio_config(self) -> Path:
        """Where the Lab writes the configuration of Rucio's clients."""
        return self.runtime / "rucio.cfg"

    def create(self) -> None:
        """Make the folders, closed to other system users; the runtime folder is made anew."""
        for folder in (self.home, self.log.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.remove_runtime()
        self.runtime.mkdir(mode=0o700, parents=True)
        self.tokens.mkdir(mode=0o700)

    def open_log(self) -> BinaryIO:
        """Begin a new log file, readable by its owner only."""
        return open(self.log, "wb", opener=_private)

    def remove_runtime(self) -> None:
        """Remove the runtime folder with all that is in it."""
        shutil.rmtree(self.runtime, ignore_errors=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def copy_examples(source: Path, home: Path) -> list[str]:
    """Bring the facility's examples into a user's folder.

    A file that the user changed or removed is left as it is; an untouched one follows a newer
    version of the facility.

    Parameters
    ----------
    source
        Folder with the examples.
    home
        The user's folder; examples go to ``examples`` in it.

    Returns
    -------
    list of str
        Names that were written.
    """
    target = home / "examples"
    if target.is_symlink() or not source.is_dir():
        return []
    target.mkdir(mode=0o755, exist_ok=True)
    shipped = _read_record(home / _RECORD)
    written = []
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        name = file.relative_to(source).as_posix()
        if any(part.startswith(".") or part == "__pycache__" for part in Path(name).parts):
            continue
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if _is_ours(target / name, shipped.get(name)) and shipped.get(name) != digest:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            _write(target / name, content)
            written.append(name)
        shipped.setdefault(name, digest)
        if name in written:
            shipped[name] = digest
    _write(home / _RECORD, json.dumps(shipped, indent=1, sort_keys=True).encode())
    return written


def _is_ours(file: Path, digest: str | None) -> bool:
    """Tell whether a file may be written: it never was there, or it is as we wrote it."""
    if file.is_symlink():
        return False
    if digest is None:
        return not file.exists()
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == digest


def _read_record(file: Path) -> dict[str, str]:
    """Read which examples were written, with their digests; a damaged record counts as none."""
    try:
        record = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(record, dict):
        return {}
    return {str(name): str(digest) for name, digest in record.items()}


def _write(file: Path, content: bytes) -> None:
    """Replace a file as a whole."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.new")
    temporary.write_bytes(content)
    temporary.replace(file)
