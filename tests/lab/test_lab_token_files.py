"""The files that a real Jupyter Server keeps: one for each audience, whole or not at all."""

from __future__ import annotations

import asyncio
import json
import shutil
import stat
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from testbed.lab_hub import LabHub, lab_config
from testbed.small_disk import small_disk
from testbed.webdav import GOOD

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.lab_server import LabServer, StartLab

DOOR = {"name": "d", "title": "D", "url": "https://127.0.0.1:1/store", "audience": "storage"}
BIG = "b" * 9000


def config(*audiences: str, **changes: Any) -> dict[str, Any]:
    """Return the hub's view of a facility with these audiences."""
    listed = [{"name": name, "audience": f"https://{name}", "scope": ""} for name in audiences]
    identity = {**lab_config()["identity"], "audiences": listed}
    return lab_config(identity=identity, **changes)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again after a moment."""
    for pause in ("RETRY_PAUSE", "SHORTEST_NAP", "LONGEST_NAP"):
        monkeypatch.setattr(f"af_labextension.tokens.keeper.{pause}", 0.05)


async def rows(lab: LabServer) -> dict[str, dict[str, Any]]:
    """Return the rows of the status by audience."""
    answer = await lab.fetch("af/status")
    return {row["audience"]: row for row in json.loads(answer.body)["tokens"]}


async def until(lab: LabServer, audience: str, state: str) -> dict[str, Any]:
    """Wait until the status of an audience is as wanted; return its row."""
    async with asyncio.timeout(20):
        while (row := (await rows(lab)).get(audience, {})).get("state") != state:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return row


def contents(*files: Path) -> set[str | None]:
    """Return what stands in files."""
    return {file.read_text() if file.exists() else None for file in files}


async def holding(content: str, *files: Path) -> None:
    """Wait until files hold a content."""
    async with asyncio.timeout(20):
        while contents(*files) != {content}:  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.02)


async def test_every_audience_of_the_facility_has_its_file(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path
) -> None:
    lab_hub.config = config("jobs", "storage", "../out", storage=[DOOR])
    folder, file = tmp_path / "run" / "tokens", tmp_path / "run" / "bt_u0"
    lab = await start_lab(lab_hub, bearer_token_file=str(file), audience_token_folder=str(folder))
    for audience in ("jobs", "storage"):
        await until(lab, audience, "valid")
    await holding(GOOD, file, folder / "jobs", folder / "storage")
    assert {path.name for path in folder.iterdir()} == {"jobs", "storage"}
    for path in (file, folder / "jobs", folder / "storage"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # what storage needs comes first, and what nobody needs now does not alarm
    told = await rows(lab)
    assert [(name, told[name]["needed"]) for name in told if name != "../out"] == [
        ("storage", True),
        ("jobs", False),
    ]


async def test_the_bearer_file_is_of_the_first_audience_when_no_storage_needs_one(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path
) -> None:
    lab_hub.config = config("jobs", "tape")
    file = tmp_path / "run" / "bt"
    lab = await start_lab(lab_hub, bearer_token_file=str(file))
    await until(lab, "jobs", "valid")
    await holding(GOOD, file)


@pytest.mark.parametrize("trouble", ["full", "read-only", "gone"])
async def test_files_stay_whole_and_the_lab_tells_when_the_folder_fails(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path, trouble: str
) -> None:
    lab_hub.config = config("storage", "jobs", storage=[DOOR])
    with small_disk(tmp_path / "run", megabytes=1) as disk:
        disk.chmod(0o700)
        folder = disk / "deep" / "tokens"
        files = (disk / "deep" / "bt", folder / "storage", folder / "jobs")
        lab = await start_lab(
            lab_hub, bearer_token_file=str(files[0]), audience_token_folder=str(folder)
        )
        await until(lab, "storage", "valid")
        await holding(GOOD, *files)
        ballast = fail(disk, trouble)
        # all tokens end, and the next ones do not fit
        lab_hub.tokens = [BIG]
        for entry in lab.app.web_app.settings["af_tokens"]._entries.values():
            entry.renew_at = 0.0
        for audience in ("storage", "jobs"):
            row = await until(lab, audience, "error")
            assert "cannot be written" in row["message"]
            assert str(disk) in row["message"]
        assert contents(*files) == {None if trouble == "gone" else GOOD}
        left = {path.name for path in disk.rglob("*") if path.is_file()}
        assert left <= {"bt", "storage", "jobs", "ballast", "deep"}
        # and goes on by itself
        mend(disk, trouble, ballast)
        for audience in ("storage", "jobs"):
            await until(lab, audience, "valid")
        await holding(BIG, *files)
        await lab.app.cleanup_extensions()


def fail(disk: Path, trouble: str) -> Path:
    """Make a folder unusable; return what has to be removed afterwards."""
    ballast = disk / "ballast"
    if trouble == "full":
        with suppress(OSError), ballast.open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()
    elif trouble == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    else:
        shutil.rmtree(disk / "deep")
        (disk / "deep").write_text("a file where a folder was")
    return ballast


def mend(disk: Path, trouble: str, ballast: Path) -> None:
    """Make it usable again."""
    if trouble == "full":
        ballast.unlink()
    elif trouble == "read-only":
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    else:
        (disk / "deep").unlink()
