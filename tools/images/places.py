"""Where built things lie, and who may build just now."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from af_hub.embedded.layout import cache_folder
from tools.images.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
"""The checkout."""

GIB = 1 << 30


@dataclass(frozen=True)
class Places:
    """The folder of everything that is built here, and what lies in it.

    Parameters
    ----------
    home
        The folder; archives and their records lie at its top.
    """

    home: Path

    @classmethod
    def default(cls) -> Places:
        """Return ``$AF_IMAGES_HOME``, by default a part of the user's cache folder."""
        named = os.environ.get("AF_IMAGES_HOME")
        return cls(Path(named).absolute() if named else cache_folder() / "images")

    @property
    def storage(self) -> Path:
        """Layers, in buildah's own form."""
        return self.home / "storage"

    @property
    def state(self) -> Path:
        """What buildah keeps while it runs."""
        return self.home / "state"

    @property
    def logs(self) -> Path:
        """The output of each build."""
        return self.home / "logs"

    @property
    def work(self) -> Path:
        """Things on their way, and buildah's caches for pip and uv."""
        return self.home / "work"

    @property
    def wheels(self) -> Path:
        """Wheels and front ends, by the hash of what they are made from."""
        return self.home / "wheels"

    def prepare(self) -> None:
        """Make the folders.

        Raises
        ------
        ImageError
            The folder cannot be written.
        """
        try:
            for folder in (self.storage, self.state, self.logs, self.work, self.wheels):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageError(
                f"{error.filename} cannot be made: {error.strerror}. "
                "Name a folder that can be written in AF_IMAGES_HOME."
            ) from error

    def require_room(self, gib: int, purpose: str) -> None:
        """Check that there is room for a build.

        Raises
        ------
        ImageError
            Less than `gib` GiB are free.
        """
        free = shutil.disk_usage(self.home).free
        if free < gib * GIB:
            raise ImageError(
                f"The disk of {self.home} has {free / GIB:.1f} GiB left, {purpose} needs about "
                f"{gib} GiB. Make room, or name a folder on another disk in AF_IMAGES_HOME."
            )

    @contextmanager
    def turn(self, report: Callable[[str], None]) -> Iterator[None]:
        """Wait until no other builder works here; the kernel ends the turn of one that dies."""
        with (self.home / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                report("Another builder is at work: waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
