"""Time for tests that build what they need, and an image that is built in a second."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from testbed.images import BUILD_PATIENCE, PROGRAMS
from testbed.require import require
from testbed.tiny_image import git, lay_tiny, pause
from tools.images.programs import SEARCHED

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the first test of an image wait until it is built."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(BUILD_PATIENCE))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Lay a checkout with an image of a few programs of this machine, which builds in a second."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=SEARCHED) is None]
    require("images", not missing, f"{', '.join(missing)} build and run images (make system)")
    lay_tiny(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    pause(tmp_path, 0, monkeypatch)
    monkeypatch.delenv("AF_IMAGES_KEPT", raising=False)
    yield tmp_path
    # what buildah keeps mounted, or pytest cannot remove the folder
    for part in psutil.disk_partitions(all=True):
        if part.mountpoint.startswith(str(tmp_path)):
            subprocess.run(["umount", "--lazy", part.mountpoint], check=False)
