"""What stays of the images that were built: the last ones, and whatever somebody uses."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.images import REPOSITORY
from testbed.tiny_image import tiny_builder
from tools.images.engine import Engine
from tools.images.errors import ImageError
from tools.images.records import Record, archive_path, record_path, sbom_path
from tools.images.retention import KEPT, WHEELS, hold

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLDER = """
import sys
from pathlib import Path
from tools.images.records import find
from tools.images.retention import hold
home, tag = sys.argv[1:]
record = find(Path(home), "tiny", tag)
print(hold(Path(home), record), flush=True)
sys.stdin.read()
"""


def build(folder: Path, word: str) -> Record:
    """Build one more image, by changing what is in it."""
    (folder / "checkout/images/tiny/word").write_text(word)
    (record,) = tiny_builder(folder).build(["tiny"])
    return record


def there(folder: Path, record: Record) -> set[str]:
    """Tell where an image is still to be found."""
    files = {
        "record": record_path(folder / "home", record.name, record.tag).exists(),
        "archive": Path(record.archive).exists(),
        "bill": Path(record.sbom).exists(),
        "storage": Engine(tiny_builder(folder).places).has(record.reference),
    }
    return {name for name, found in files.items() if found}


EVERYWHERE = {"record", "archive", "bill", "storage"}


@pytest.fixture
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Give another process that holds the first image."""
    first = build(folder, "first")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder / "home"), first.tag],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_old_images_go_when_newer_ones_were_used(folder: Path) -> None:
    built = [build(folder, str(number)) for number in range(KEPT + 1)]
    found = [there(folder, record) for record in built]
    assert found == [set(), *[EVERYWHERE] * KEPT]
    # the layers of the one that went are gone, too; those that are still needed are not
    assert not hold(folder / "home", built[0])
    assert "Using cache" in (folder / "home/logs/tiny.log").read_text()


def test_an_image_stays_when_it_was_used_again(folder: Path) -> None:
    first = build(folder, "0")
    for number in range(1, KEPT + 2):
        build(folder, str(number))
        assert build(folder, "0") == first
    assert there(folder, first) == EVERYWHERE


def test_an_image_stays_when_a_process_holds_it(
    folder: Path, holder: subprocess.Popen[str]
) -> None:
    # `holder` has built it
    first = build(folder, "first")
    for number in range(KEPT + 1):
        build(folder, str(number))
    assert there(folder, first) == EVERYWHERE
    holder.kill()
    holder.wait(60)
    build(folder, "last")
    assert there(folder, first) == set()


def test_nothing_is_held_when_the_image_goes_just_then(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever removes it has the lock; who waits for the lock has opened the file before."""
    home, first = folder / "home", build(folder, "first")
    lock = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        record_path(home, first.name, first.tag).unlink()
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    assert not hold(home, first)


def test_an_image_stays_when_a_container_was_made_of_it(folder: Path) -> None:
    first = build(folder, "first")
    engine = Engine(tiny_builder(folder).places)
    with engine.container(first.reference):
        for number in range(KEPT + 1):
            build(folder, str(number))
        assert engine.has(first.reference)
    build(folder, "last")
    assert not engine.has(first.reference)


def test_what_no_record_names_goes_when_something_is_built(folder: Path) -> None:
    first = build(folder, "first")
    home = folder / "home"
    engine = Engine(tiny_builder(folder).places)
    # of a builder that was killed; of an older one, whose records said less; a base that was renewed
    lone = archive_path(home, "hub", "0" * 12)
    lone.write_bytes(b"half")
    sbom_path(home, "hub", "0" * 12).write_text("{}")
    old = [record_path(home, "lab", f"{number:012d}") for number in range(KEPT + 1)]
    for age, path in enumerate(old):
        path.write_text("{}")
        os.utime(path, (1000 - age, 1000 - age))
    (home / "lab.json").symlink_to(old[-1].name)
    engine.ask("tag", first.reference, "localhost/af/debian:trixie-20200101-000000")
    engine.ask("tag", first.reference, "localhost/af/parts:0123456789ab", "localhost/af/mine:1")
    for number in range(WHEELS + 1):
        (home / "wheels" / str(number)).mkdir()
    build(folder, "second")
    assert not lone.exists()
    assert not sbom_path(home, "hub", "0" * 12).exists()
    assert [path.exists() for path in old] == [*[True] * KEPT, False]
    assert not (home / "lab.json").is_symlink()
    assert len(list((home / "wheels").iterdir())) == WHEELS
    left = [name for name in engine.references() if "debian" in name or "parts" in name]
    assert left == []
    # somebody's own
    assert engine.has("localhost/af/mine:1")


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_the_number_is_refused_when_it_is_none(
    folder: Path, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AF_IMAGES_KEPT", number)
    with pytest.raises(ImageError, match=f"AF_IMAGES_KEPT is '{number}'"):
        build(folder, "first")
