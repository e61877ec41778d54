"""The builder: when it builds, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from testbed.facility import wait_for
from testbed.images import REPOSITORY, build_image
from testbed.small_disk import small_disk
from testbed.tiny_image import git, pause, start, tiny_builder
from tools.images.base import own_base
from tools.images.engine import Engine
from tools.images.errors import ImageError
from tools.images.places import Places
from tools.images.programs import explain, require_programs


def log(folder: Path) -> str:
    path = folder / "home/logs/tiny.log"
    return path.read_text() if path.exists() else ""


def children(folder: Path) -> list[psutil.Process]:
    """Return the processes that work on a folder's storage."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if str(folder / "home/storage") in words and process.pid != os.getpid():
            found.append(process)
    return found


def test_nothing_is_built_when_the_inputs_are_the_same(folder: Path) -> None:
    (first,) = tiny_builder(folder).build(["tiny"])
    written = Path(first.archive).stat().st_mtime_ns
    (folder / "home/logs/tiny.log").unlink()
    # neither lies about in the checkout nor the time of a file matters
    (folder / "checkout/images/tiny/note").write_text("not tracked")
    os.utime(folder / "checkout/images/tiny/word")
    begin = time.monotonic()
    (second,) = tiny_builder(folder).build(["tiny"])
    assert second == first
    assert log(folder) == ""
    assert Path(second.archive).stat().st_mtime_ns == written
    # three times the promise for all images
    assert time.monotonic() - begin < 30
    (last,) = (json.loads((folder / "home/tiny.json").read_text()),)
    assert last["reference"] == first.reference == f"localhost/af/tiny:{first.tag}"


@pytest.mark.parametrize("change", ["content", "name", "mode", "base"])
def test_tag_changes_when_an_input_does(folder: Path, change: str) -> None:
    builder = tiny_builder(folder)
    (first,) = builder.build(["tiny"])
    word = folder / "checkout/images/tiny/word"
    if change == "content":
        word.write_text("two")
    elif change == "name":
        (word.parent / "more").write_text("one")
        git(folder, "add", "-A")
    elif change == "mode":
        word.chmod(0o755)
    else:
        builder.base_image = "another"
    (second,) = builder.build(["tiny"])
    assert second.tag != first.tag
    # both are there: two checkouts may take turns in one folder
    assert Path(first.archive).exists()
    assert Path(second.archive).exists()


def test_a_base_of_this_machine_is_taken_when_it_is_named(folder: Path) -> None:
    """No registry is asked for what is here."""
    builder = tiny_builder(folder)
    (first,) = builder.build(["tiny"])
    recipe = folder / "checkout/images/tiny/Containerfile"
    recipe.write_text(
        "ARG DEBIAN=registry.invalid/none\nFROM ${DEBIAN}\nCOPY images/tiny/word /more\n"
    )
    builder.base_image = first.reference
    (second,) = builder.build(["tiny"])
    assert first.reference in second.inputs["base"]
    with Engine(builder.places).files(second.reference) as root:
        assert {"bin", "word", "more"} <= {path.name for path in Path(root).iterdir()}


def test_slow_layers_are_taken_again_when_the_last_one_changes(folder: Path) -> None:
    tiny_builder(folder).build(["tiny"])
    (folder / "checkout/images/tiny/word").write_text("two")
    tiny_builder(folder).build(["tiny"])
    # the program ran once; COPY of the word is the only new layer
    assert log(folder).count("Using cache") == 2


def test_both_get_the_image_when_two_build_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause(folder, 3, monkeypatch)
    builders = [start(folder), start(folder)]
    told = [builder.communicate(timeout=180) for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0], told
    assert len({out for out, _ in told}) == 1
    # one has built, the other has waited
    assert sum("waiting" in error for _, error in told) == 1
    assert sum("Writing" in error for _, error in told) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_next_build_is_right_when_one_was_killed(
    folder: Path, how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause(folder, 600, monkeypatch)
    with start(folder) as victim:
        wait_for(lambda: "STEP 3" in log(folder) and children(folder), "the slow step")
        victim.send_signal(how)
        victim.wait(60)
    wait_for(lambda: not children(folder), "the end of what the builder had started")
    assert not list((folder / "home").glob("tiny*"))
    pause(folder, 0, monkeypatch)
    builder = tiny_builder(folder)
    (record,) = builder.build(["tiny"])
    assert Path(record.archive).stat().st_size == record.size
    assert Engine(builder.places).ask("containers", "--quiet") == ""
    assert not list((folder / "home/work").glob("context-*"))


def test_half_an_archive_is_built_again_when_found(folder: Path) -> None:
    builder = tiny_builder(folder)
    (first,) = builder.build(["tiny"])
    with Path(first.archive).open("r+b") as archive:
        archive.truncate(first.size // 2)
    (second,) = builder.build(["tiny"])
    assert Path(second.archive).stat().st_size == second.size > first.size // 2


def test_disk_is_named_when_it_has_no_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        done = subprocess.run(
            [sys.executable, "-m", "tools.images", "build", "hub"],
            cwd=REPOSITORY,
            env={**os.environ, "AF_IMAGES_HOME": str(disk)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"The disk of {disk} has 0.0 GiB left" in done.stderr
    assert "AF_IMAGES_HOME" in done.stderr


# the first is full when buildah copies a second time, the other when we do
@pytest.mark.parametrize("megabytes", [24, 60])
def test_disk_is_named_when_it_gets_full_on_the_way(folder: Path, megabytes: int) -> None:
    big = folder / "checkout/images/tiny/root/big"
    big.write_bytes(os.urandom(megabytes << 20))
    git(folder, "add", "-A")
    with small_disk(folder / "home", 40):
        with pytest.raises(ImageError, match=r"(?i)the disk (of \S+ )?is full"):
            tiny_builder(folder).build(["tiny"])
        assert not list((folder / "home").glob("tiny*.json"))
        # and it goes on where there is room again
        big.unlink()
        (record,) = tiny_builder(folder).build(["tiny"])
        assert Path(record.archive).exists()


def test_programs_are_named_when_they_are_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.images", "build", "hub"],
        cwd=REPOSITORY,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "buildah" in done.stderr
    assert "apt-get install" in done.stderr
    with pytest.raises(ImageError, match=r"mmdebstrp.*apt-get install mmdebstrap"):
        require_programs({"mmdebstrp": "mmdebstrap"})


def test_image_is_named_when_there_is_none_of_that_name() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.images", "reference", "labb"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "labb" in done.stderr


def test_package_is_named_when_debian_has_none_of_that_name(folder: Path) -> None:
    """On the base that the real images have."""
    build_image("hub")
    places = Places.default()
    engine = Engine(places)
    base = own_base(engine, places, "trixie", lambda _: None, renew=False)
    assert base.reference
    (folder / "checkout/images/tiny/Containerfile").write_text(
        "ARG DEBIAN\nFROM ${DEBIAN}\nRUN apt-get update && apt-get install --yes no-such-thing\n"
    )
    builder = tiny_builder(folder)
    builder.places = places
    builder.base_image = base.reference
    builder.__post_init__()
    with pytest.raises(ImageError, match="Debian has no package no-such-thing"):
        builder.build(["tiny"])


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("write /x: no space left on device", "the disk is full"),
        ("E: Unable to locate package condor", "Debian has no package condor"),
        ("Err:1 Temporary failure resolving 'deb'", "cannot be reached"),
        ("error: invalid peer certificate: UnknownIssuer", "AF_CA_BUNDLE"),
        ("error: Hash mismatch for `x`", "not the one of the lock file"),
        ("Error: setting rlimit: operation not permitted", "fewer processes"),
        ("one\nE: the reason\nlast line", "E: the reason"),
        ("", "it said nothing"),
    ],
)
def test_reason_is_a_sentence_when_a_program_fails(output: str, sentence: str) -> None:
    assert sentence in explain(output)
