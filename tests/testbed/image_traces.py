"""What a build may leave in an image by mistake, found by reading all of its files."""

from __future__ import annotations

import os
import re
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LARGEST = 4 << 20
"""Bytes; keys and settings are smaller, and programs need not be searched."""

EMPTY = (
    "etc/hostname",
    "etc/resolv.conf",
    "etc/apt/apt.conf.d/99build",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "run/authorities.pem",
    "run/secrets",
    "root/.cache",
    "root/.npm",
    "tmp",
    "var/cache/apt",
    "var/cache/uv",
    "var/lib/apt/lists",
    "var/log/apt",
    "var/tmp",
)
"""What is absent or empty in a finished image."""

KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{64}")

CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s+(.*?)\s+-----END", re.DOTALL)

# test data and documents of packages: everybody has these keys
PUBLIC_KEYS = re.compile(r"/(tests?|testing|test_certs|examples|demos|certs)/")


def regular_files(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Give every regular file below `root`."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            found = path.lstat()
            if stat.S_ISREG(found.st_mode):
                yield path, found


def raising(root: Path) -> list[str]:
    """List the programs that run with more rights than who calls them."""
    found = []
    for path, status in regular_files(root):
        set_bits = status.st_mode & (stat.S_ISUID | stat.S_ISGID)
        if set_bits or "security.capability" in os.listxattr(path, follow_symlinks=False):
            found.append(f"/{path.relative_to(root)}")
    return found


def open_to_all(root: Path) -> list[str]:
    """List files that everybody can write, and folders where everybody can remove others' files."""
    found = []
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            sticky = stat.S_ISDIR(mode) and mode & stat.S_ISVTX
            plain = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
            if plain and mode & stat.S_IWOTH and not sticky:
                found.append(f"/{path.relative_to(root)}")
    return found


def left_over(root: Path) -> list[str]:
    """List caches and settings of the build that are still there."""
    found = []
    for name in EMPTY:
        path = root / name
        if path.is_dir() and not path.is_symlink():
            found += [f"/{each.relative_to(root)}" for each in path.rglob("*") if not each.is_dir()]
        elif path.exists() and path.stat().st_size:
            found.append(f"/{name}")
    return found


def private_keys(root: Path) -> list[str]:
    """List files with a private key that is not a package's test data."""
    return [
        f"/{path.relative_to(root)}"
        for path, status in regular_files(root)
        if status.st_size <= LARGEST
        and not PUBLIC_KEYS.search(f"/{path.relative_to(root)}")
        and KEY.search(content := path.read_bytes())
        # libraries hold keys to test themselves with
        and b"\0" not in content
    ]


def mentions(root: Path, words: Iterable[bytes]) -> list[str]:
    """List files that hold one of `words`."""
    wanted = re.compile(b"|".join(re.escape(word) for word in words))
    return [
        f"/{path.relative_to(root)}"
        for path, status in regular_files(root)
        if status.st_size <= LARGEST and wanted.search(path.read_bytes())
    ]


def own_authorities(root: Path) -> list[bytes]:
    """Return what tells certificates that this machine trusts and Debian's package does not have."""
    bundles = {os.environ.get(name) for name in ("AF_CA_BUNDLE", "PIP_CERT", "SSL_CERT_FILE")}
    trusted = b"".join(Path(name).read_bytes() for name in bundles if name and Path(name).is_file())
    shipped = root / "etc/ssl/certs/ca-certificates.crt"
    known = shipped.read_bytes() if shipped.is_file() else b""
    bodies = {match[1].split(b"\n")[1] for match in CERTIFICATE.finditer(trusted)}
    return sorted(body for body in bodies if body not in known)


def machine_words(*folders: Path) -> list[bytes]:
    """Return words that only the building machine knows: its name and its folders."""
    name = socket.gethostname().encode()
    # a short name would be found in any text
    return [*(str(folder).encode() for folder in folders), *([name] if len(name) > 8 else [])]
