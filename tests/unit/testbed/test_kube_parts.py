"""What a cluster is made of, without one: names, keys of builds, archives of images, demands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from af_hub.errors import SetupError
from testbed.kube import demands, images, processes
from testbed.kube.settings import MOST, Settings, from_environment
from testbed.kube.tools import FAMILIES, SOURCES, Tools, fresh_folder, key, toolchain

if TYPE_CHECKING:
    from collections.abc import Iterator


# --- settings ------------------------------------------------------------------------------------


def test_clusters_share_no_address_when_their_numbers_differ() -> None:
    every = [Settings(Path("/x"), number=number) for number in range(MOST)]
    for part in ("pods", "services"):
        networks = [getattr(each, part) for each in every]
        assert not any(a.overlaps(b) for a in networks for b in networks if a is not b)
    assert len({each.node_ip for each in every} | {each.host_ip for each in every}) == 2 * MOST
    assert every[0].dns_ip == "10.96.0.10"


def test_the_folder_is_the_users_cache_when_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AF_KUBE_HOME", "AF_KUBE_NAME", "AF_KUBE_NUMBER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert from_environment() == Settings(Path("/cache/analysis-facility/kube"), "afkube", 0)


# --- builds --------------------------------------------------------------------------------------


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    shutil.copytree(SOURCES / "small", folder / "small")
    return folder


def test_a_key_changes_with_everything_that_goes_in(sources: Path) -> None:
    family = FAMILIES["small"]
    first = key(family, "go1.26.4", sources)
    assert first == key(family, "go1.26.4", sources)
    assert first != key(family, "go1.26.5", sources)
    program = sources / "small" / "probe" / "main.go"
    program.write_text(program.read_text() + "\n")
    second = key(family, "go1.26.4", sources)
    assert second != first
    program.rename(program.with_name("other.go"))
    assert key(family, "go1.26.4", sources) not in {first, second}


def test_every_module_is_pinned_by_sums() -> None:
    for name in FAMILIES:
        folder = SOURCES / name
        assert (folder / "go.mod").is_file()
        assert name == "small" or (folder / "go.sum").stat().st_size > 1000


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "small-1"
    with pytest.raises(OSError, match="full"), fresh_folder(target) as folder:  # noqa: PT012
        (folder / "half").touch()
        raise OSError("full")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".small-1-abc").mkdir()  # of a builder that was killed
    with fresh_folder(target) as folder:
        (folder / "whole").touch()
        assert not target.exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["small-1", "whole"]


BUILD = """
import sys, time
from pathlib import Path
from testbed.kube import tools

def build(self, family, folder):
    with Path(sys.argv[2]).open("a") as log:
        print("build", file=log)
    time.sleep(0.3)
    (folder / "pause").touch()

tools.Tools._build = build
print(tools.Tools(Path(sys.argv[1])).ensure("small"))
"""


def test_one_of_two_builders_builds_when_both_need_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD, str(tmp_path / "bin"), str(log)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert len({out for out, _ in said}) == 1
    assert log.read_text() == "build\n"


def test_the_pinned_toolchain_is_taken_when_the_machines_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "go"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for version, taken in (("go1.26.4", True), ("go1.30.0", True), ("go1.26.3", False)):
        program.write_text(f"#!/bin/sh\necho {version}\n")
        program.chmod(0o755)
        assert (toolchain().program is not None) is taken, version
    program.unlink()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    assert toolchain().version == "go1.26.6"


def test_a_build_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "go"
    program.write_text(
        '#!/bin/sh\ntest "$1" = env && echo go1.26.9 || { echo no disk >&2; exit 1; }\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SetupError, match=r"^small cannot be built: no disk\. \[kube-build\]$"):
        Tools(tmp_path / "bin").ensure("small")
    assert [path.name for path in (tmp_path / "bin").iterdir()] == ["small.lock"]


# --- images --------------------------------------------------------------------------------------


def test_the_same_program_makes_the_same_archive(tmp_path: Path) -> None:
    program = tmp_path / "probe"
    program.write_bytes(b"\x7fELF")
    for name in ("one", "two"):
        images.pack(tmp_path / name, "localhost/af/probe:1", program)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert list(images.contents(tmp_path / "one")) == ["localhost/af/probe:1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "probe", "two"]


def test_an_archive_holds_what_its_digests_say(tmp_path: Path) -> None:
    program = tmp_path / "probe"
    program.write_bytes(b"\x7fELF")
    images.pack(tmp_path / "archive", "localhost/af/probe:1", program)
    with tarfile.open(tmp_path / "archive") as archive:

        def blob(digest: str) -> bytes:
            stream = archive.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
            assert stream
            return stream.read()

        (digest,) = images.contents(tmp_path / "archive").values()
        manifest = json.loads(blob(digest))
        config = json.loads(blob(manifest["config"]["digest"]))
        (layer,) = manifest["layers"]
        assert config["rootfs"]["diff_ids"] == [layer["digest"]]
        assert len(blob(layer["digest"])) == layer["size"]
        assert config["config"]["Entrypoint"] == ["/probe"]


# --- processes -----------------------------------------------------------------------------------


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[processes.Process]:
    process = processes.start(
        ["/bin/sleep", "60"], log=tmp_path / "log", record=tmp_path / "record", environment={}
    )
    yield process
    processes.end(lambda: {process.pid}, grace=0)


def test_a_record_names_its_process_until_it_ends(
    sleeper: processes.Process, tmp_path: Path
) -> None:
    assert processes.recorded(tmp_path / "record") == sleeper
    assert processes.end(lambda: {sleeper.pid}, grace=0) == set()
    assert processes.recorded(tmp_path / "record") is None


def test_a_record_names_nobody_when_the_number_is_somebody_elses(
    sleeper: processes.Process, tmp_path: Path
) -> None:
    (tmp_path / "record").write_text(f"{sleeper.pid} {sleeper.begin - 1}\n")
    assert processes.recorded(tmp_path / "record") is None
    for damaged in ("", "1", "one two", f"{sleeper.pid}"):
        (tmp_path / "record").write_text(damaged)
        assert processes.recorded(tmp_path / "record") is None


def test_processes_may_end_by_themselves_before_they_are_killed(tmp_path: Path) -> None:
    script = "trap 'echo bye; exit' TERM; echo ready; while :; do sleep 0.05; done"
    process = processes.start(
        ["/bin/sh", "-c", script],
        log=tmp_path / "log",
        record=tmp_path / "record",
        environment={"PATH": "/usr/bin:/bin"},
    )
    deadline = time.monotonic() + 30
    while "ready" not in (tmp_path / "log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, 15)
    assert processes.end(lambda: {process.pid}, grace=30) == set()
    assert "bye" in (tmp_path / "log").read_text()


# --- demands -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "old"),
    [("5.3.18", True), ("4.19.0-28-amd64", True), ("5.4.0", False), ("6.18.44", False)],
)
def test_a_kernel_is_old_by_its_numbers(release: str, old: bool) -> None:
    assert demands.kernel_is_old(release) is old


FIRST_THREAD_ENDS = """
import ctypes, platform, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
print("ready", flush=True)
# exit(2) itself, which ends the calling thread alone
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)
"""


def test_a_process_lives_while_a_thread_of_it_does() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FIRST_THREAD_ENDS], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            while "Z" not in Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2]:
                time.sleep(0.01)
            found = processes.find(process.pid)
            assert found
            assert found.alive
        finally:
            process.kill()
    assert not found.alive
