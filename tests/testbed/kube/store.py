"""The node's store of images: what comes in, and what goes again.

An image that tests brought in is kept as long as its archive is; the archives that lie about are
limited by whoever builds them. A list beside the store says which archive each image came from.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from af_hub.embedded.files import write_atomically
from testbed.kube import images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kube.settings import Settings

_OURS = re.compile(r"localhost/af/[a-z0-9-]+:[0-9a-f]{12}")
"""What is built here is named by a hash; other names are somebody's own."""

_SAME = re.compile(r"sha256:[0-9a-f]{64}")
"""Second name that Kubernetes' side of containerd gives to each image."""


def stored_images(settings: Settings) -> dict[str, str]:
    """Return the digest of each image in the store.

    Raises
    ------
    OSError
        containerd does not answer.
    """
    listed = _ctr(settings, "images", "ls", timeout=30)
    rows = [line.split() for line in listed.splitlines()[1:]]
    return {row[0]: row[2] for row in rows if len(row) > 2}


def load_images(settings: Settings, *archives: Path) -> None:
    """Bring archives into the store; what is there already costs nothing.

    Raises
    ------
    OSError
        One could not be read, or the disk is full.
    """
    inside = {archive: images.contents(archive) for archive in archives}
    # first, so that nobody removes what is found here
    with _sources(settings) as sources:
        for archive, names in inside.items():
            sources.update(dict.fromkeys(names, str(archive.absolute())))
    stored = stored_images(settings).items()
    new = [path for path, names in inside.items() if not names or not names.items() <= stored]
    for archive in new:
        _ctr(settings, "images", "import", "--snapshotter", "overlayfs", str(archive))
    if new:
        forget_images(settings)


def forget_images(settings: Settings) -> None:
    """Remove images whose archive is gone and that no container was made of.

    Raises
    ------
    OSError
        containerd does not answer.
    """
    with _sources(settings) as sources:
        stored = stored_images(settings)
        kept = {name for name in stored if not _OURS.fullmatch(name) and not _SAME.fullmatch(name)}
        kept |= {name for name, archive in sources.items() if Path(archive).exists()}
        rows = [line.split() for line in _ctr(settings, "containers", "ls").splitlines()[1:]]
        kept |= {row[1] for row in rows if len(row) > 1}
        digests = {stored[name] for name in kept & stored.keys()}
        gone = [name for name, digest in stored.items() if digest not in digests]
        remove_images(settings, gone)
        for name in gone:
            sources.pop(name, None)


def remove_images(settings: Settings, names: list[str]) -> None:
    """Remove images, and the layers that only they have."""
    if names:
        _ctr(settings, "images", "rm", "--sync", *names)


@contextmanager
def _sources(settings: Settings) -> Iterator[dict[str, str]]:
    """Give the list of archives by image, to be changed; one at a time."""
    path = settings.home / "archives.json"
    descriptor = os.open(settings.home / "archives.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        sources: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        before = dict(sources)
        yield sources
        if sources != before:
            write_atomically(path, json.dumps(sources, indent=1))
    finally:
        os.close(descriptor)


def _ctr(settings: Settings, *arguments: str, timeout: float | None = None) -> str:
    command = ["ctr", "--address", str(settings.socket), "--namespace", "k8s.io", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    if done.returncode:
        raise OSError(f"ctr {' '.join(arguments)}: {done.stderr.strip()[-500:]}")
    return done.stdout
