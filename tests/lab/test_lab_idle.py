"""A Lab whose page is closed leaves the hub in peace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from af_labextension import settings
from testbed.lab_hub import LabHub, lab_config

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from testbed.lab_server import LabServer, StartLab

RUCIO = {"url": "https://127.0.0.1:9", "audience": "rucio", "account": "alice"}
DOOR = {"name": "demo", "title": "x", "url": "https://127.0.0.1:9/s", "audience": "storage"}


async def until(there: Path) -> None:
    """Wait until a file is there."""
    async with asyncio.timeout(30):
        while not there.exists():  # noqa: ASYNC110, ASYNC240 - a file gives no event
            await asyncio.sleep(0.02)


async def idle_lab(
    lab_hub: LabHub, start_lab: StartLab, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[LabServer, Any]:
    """Start a Lab with everything on; what it knows of the facility is old, its tokens are not."""
    lab_hub.config = lab_config(storage=[DOOR], rucio=RUCIO)
    monkeypatch.setenv("RUCIO_CONFIG", str(folder / "rucio.cfg"))
    lab = await start_lab(
        lab_hub,
        bearer_token_file=str(folder / "bt"),
        audience_token_folder=str(folder / "tokens"),
        agent_socket=str(folder / "agent"),
    )
    for name in ("bt", "tokens/storage", "tokens/rucio", "rucio.cfg", "agent"):
        await until(folder / name)
    hub = lab.app.web_app.settings[settings.HUB]
    hub._config_until = 0.0
    return lab, hub


async def test_hub_is_not_asked_when_a_lab_looks_after_its_files(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, _ = await idle_lab(lab_hub, start_lab, tmp_path / "run", monkeypatch)
    found = lab.app.web_app.settings
    (extension,) = lab.app.extension_manager.extension_apps["af_labextension"]
    lab_hub.requests.clear()
    for _ in range(3):
        await found[settings.AUDIENCE_FILES].look()
        await found[settings.AUDIENCE_FILES].look_into_files()
        await found[settings.KEEPER].look()
        await found[settings.AGENT].look()
        await extension._terminal.look()
    assert lab_hub.requests == []
    # an open page brings news
    await lab.fetch("af/status")
    assert lab_hub.count("/lab") == 1


async def test_files_follow_the_facility_when_a_token_was_renewed(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    lab, _ = await idle_lab(lab_hub, start_lab, folder, monkeypatch)
    lab_hub.config = lab_config(storage=[DOOR, {**DOOR, "name": "new", "audience": "new"}])
    files = lab.app.web_app.settings[settings.AUDIENCE_FILES]
    await files.look()
    assert not (folder / "tokens" / "new").exists()
    provider = lab.app.web_app.settings[settings.TOKENS]
    provider._entries[("storage", "")].renew_at = 0.0  # its time has come
    await lab.app.web_app.settings[settings.KEEPER].look()
    await files.look()
    await until(folder / "tokens" / "new")
