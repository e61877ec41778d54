"""An image of two programs of this machine: it is built in a second, by the real builder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.images import REPOSITORY
from tools.images.build import Builder
from tools.images.catalogue import Image
from tools.images.places import Places

if TYPE_CHECKING:
    import pytest

TINY = {"tiny": Image("tiny", project=False, room=0)}

RECIPE = """\
FROM scratch
COPY images/tiny/root /
# how long it takes stands in a file that leaves no trace
RUN --mount=type=secret,id=authorities,target=/pause read -r pause </pause && sleep "$pause"
COPY images/tiny/word /word
ENTRYPOINT ["/bin/sh", "--"]
"""

BUILD = """
import sys
from pathlib import Path
sys.path[:0] = ["tests", "."]
from testbed.tiny_image import tiny_builder
(record,) = tiny_builder(Path(sys.argv[1])).build(["tiny"])
print(record.tag)
"""


def tiny_builder(folder: Path) -> Builder:
    """Return a builder whose checkout and places lie in a folder."""
    return Builder(
        lambda line: print(line, file=sys.stderr, flush=True),
        places=Places(folder / "home"),
        root=folder / "checkout",
        base_image="scratch",
        images=TINY,
    )


def lay_tiny(folder: Path) -> None:
    """Lay the files of the image into a checkout."""
    tiny = folder / "checkout/images/tiny"
    (tiny / "root/bin").mkdir(parents=True)
    for name in ("sh", "sleep"):
        program = Path(shutil.which(name) or name)
        shutil.copy(program, tiny / "root/bin" / name)
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for word in listed.split():
            if word.startswith("/"):
                target = tiny / "root" / word[1:]
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(word, target)
    (tiny / "Containerfile").write_text(RECIPE)
    (tiny / "word").write_text("one")


def start(folder: Path) -> subprocess.Popen[str]:
    """Start a builder that is a process of its own."""
    return subprocess.Popen(
        # a shell's background jobs, and what they start, ignore SIGINT
        ["env", "--default-signal=INT", sys.executable, "-c", BUILD, str(folder)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def git(folder: Path, *words: str) -> None:
    """Run git in the checkout."""
    subprocess.run(["git", "-C", folder / "checkout", *words], check=True)


def pause(folder: Path, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next builds take so long."""
    (folder / "pause").write_text(f"{seconds}\n")
    monkeypatch.setenv("AF_CA_BUNDLE", str(folder / "pause"))
