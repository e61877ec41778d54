"""``GET af/status`` and the token file of a real Jupyter Server."""

from __future__ import annotations

import asyncio
import json
import stat
from typing import TYPE_CHECKING, Any

from testbed.lab_hub import SERVER_TOKEN, LabHub, lab_config
from testbed.webdav import GOOD

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from testbed.lab_server import LabServer, StartLab

DOOR = {
    "name": "demo",
    "title": "Storage",
    "url": "https://127.0.0.1:1/store",
    "audience": "storage",
}


async def eventually(path: Path, content: str | None) -> None:
    """Wait until a file has a content; ``None``: until it is gone."""

    def reached() -> bool:
        return (path.read_text() if path.exists() else None) == content

    async with asyncio.timeout(30):
        while not reached():  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.02)


async def status_of(lab: LabServer) -> dict[str, Any]:
    """Return the status, which must be there."""
    answer = await lab.fetch("af/status")
    assert answer.code == 200, answer.body
    result: dict[str, Any] = json.loads(answer.body)
    return result


async def test_status_tells_identity_and_token_when_the_hub_works(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path
) -> None:
    lab_hub.config = lab_config(storage=[DOOR])
    token_file = tmp_path / "run" / "bt"
    lab = await start_lab(lab_hub, bearer_token_file=str(token_file))
    await eventually(token_file, GOOD)
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    status = await status_of(lab)
    [token] = status.pop("tokens")
    assert (token["audience"], token["state"], token["message"]) == ("storage", "valid", None)
    assert token["expires_at"] > 1e9
    assert status == {
        "identity": {
            "user": "alice",
            "display_name": "Alice",
            "issuer": "https://iam.example/",
            "groups": ["/cms", "/cms/uscms"],
        },
        "server": {
            "expires_at": None,
            "started_at": 1.0,
            "stop_url": "/hub/stop",
            "profile_url": "/hub/spawn",
            "ends": [],
            "gpus": [],
        },
        "hub": {"home_url": "/hub/home", "login_url": "/hub/login"},
        "facility": {"name": "Demo", "support": "mailto:s@x", "notice": "Hi"},
        "programs": {"file": str(token_file), "socket": None, "account": None, "problem": None},
        "problem": None,
    }


async def test_status_asks_the_hub_once_when_it_is_looked_at_often(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    lab = await start_lab(lab_hub)
    await asyncio.gather(*(status_of(lab) for _ in range(20)))
    assert lab_hub.count("/lab") == 1


async def test_status_answers_when_the_hub_is_away_from_the_start(
    lab_hub: LabHub, start_lab: StartLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab_hub.stop()
    monkeypatch.setenv("AF_USER", "alice")
    lab = await start_lab(lab_hub)
    status = await status_of(lab)
    assert status["problem"]["code"] == "hub-unreachable"
    assert status["identity"]["user"] == "alice"
    assert status["tokens"] == []


async def test_the_file_comes_and_the_lab_recovers_when_the_hub_starts_later(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("af_labextension.tokens.keeper.RETRY_PAUSE", 0.1)
    monkeypatch.setattr("af_labextension.tokens.keeper.SHORTEST_NAP", 0.1)
    lab_hub.config = lab_config(storage=[DOOR])
    await lab_hub.stop()
    token_file = tmp_path / "run" / "bt"
    lab = await start_lab(lab_hub, bearer_token_file=str(token_file))
    assert (await status_of(lab))["problem"]
    await lab_hub.start()
    await eventually(token_file, GOOD)
    assert (await status_of(lab))["problem"] is None


async def test_the_file_is_renewed_when_a_token_nears_its_end(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path
) -> None:
    lab_hub.config = lab_config(storage=[DOOR])
    lab_hub.life, lab_hub.tokens = 2.0, ["first-token", "second-token"]
    token_file = tmp_path / "run" / "bt"
    await start_lab(lab_hub, bearer_token_file=str(token_file))
    await eventually(token_file, "first-token")
    await eventually(token_file, "second-token")


async def test_the_file_goes_when_the_server_stops(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path
) -> None:
    lab_hub.config = lab_config(storage=[DOOR])
    token_file = tmp_path / "run" / "bt"
    lab = await start_lab(lab_hub, bearer_token_file=str(token_file))
    await eventually(token_file, GOOD)
    await lab.app.cleanup_extensions()
    await eventually(token_file, None)


async def test_the_state_says_log_in_again_when_the_hub_ends_the_session(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    lab_hub.config = lab_config(storage=[DOOR])
    lab = await start_lab(lab_hub)
    assert (await lab.fetch("af/storage")).code == 200
    lab_hub.fault = {"status": "401", "code": "session-over", "message": "Log in again at the hub."}
    assert (await lab.fetch("af/storage/demo/list")).code == 403
    [token] = (await status_of(lab))["tokens"]
    assert (token["state"], token["message"]) == ("error", "Log in again at the hub.")


async def test_the_state_tells_when_the_token_file_cannot_be_written(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path
) -> None:
    lab_hub.config = lab_config(storage=[DOOR])
    (tmp_path / "blocked").write_text("")
    lab = await start_lab(lab_hub, bearer_token_file=str(tmp_path / "blocked" / "bt"))
    async with asyncio.timeout(30):
        while (await status_of(lab))["tokens"][0]["state"] != "error":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert "cannot be written" in (await status_of(lab))["tokens"][0]["message"]


async def test_a_lab_without_a_hub_works_from_settings(start_lab: StartLab, tmp_path: Path) -> None:
    token_file = tmp_path / "bt"
    token_file.write_text(GOOD)
    lab = await start_lab(None, bearer_token_file=str(token_file), storage_doors=[DOOR])
    status = await status_of(lab)
    assert (status["hub"], status["problem"]) == (None, None)
    assert [row["audience"] for row in status["tokens"]] == ["storage"]
    assert token_file.read_text() == GOOD


async def test_no_token_is_in_answers_or_logs_when_things_work_and_fail(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    lab_hub.config = lab_config(storage=[DOOR])
    token_file = tmp_path / "run" / "bt"
    lab = await start_lab(lab_hub, bearer_token_file=str(token_file))
    await eventually(token_file, GOOD)
    bodies: list[bytes] = []
    for fault in (
        None,
        500,
        b"garbage",
        GOOD.encode(),
        {"status": "403", "code": "no", "message": "N"},
    ):
        lab_hub.fault = fault
        for path in ("af/status", "af/storage", "af/storage/demo/list", "af/storage/demo/code"):
            answer = await lab.fetch(path, path="/x.root")
            bodies.append(answer.body)
    everything = b"".join(bodies).decode() + caplog.text
    assert caplog.text
    assert GOOD not in everything
    assert SERVER_TOKEN not in everything


async def test_work_goes_on_at_once_when_the_user_has_logged_in_again(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path
) -> None:
    lab_hub.config = lab_config(storage=[DOOR])
    token_file, folder = tmp_path / "run" / "bt", tmp_path / "run" / "tokens"
    lab = await start_lab(
        lab_hub, bearer_token_file=str(token_file), audience_token_folder=str(folder)
    )
    await eventually(folder / "storage", GOOD)
    lab_hub.fault = {"status": "403", "code": "session-over", "message": "Log in again."}
    lab.app.web_app.settings["af_tokens"]._entries[("storage", "")].renew_at = 0.0
    answer = await lab.fetch("af/renew", method="POST")
    assert json.loads(answer.body)["tokens"][0]["message"] == "Log in again."
    # the pause after the refusal is not over, and the files hold a token that was taken back
    lab_hub.fault, lab_hub.tokens = None, ["token-of-the-new-login"]
    answer = await lab.fetch("af/renew", method="POST")
    assert (answer.code, json.loads(answer.body)["tokens"][0]["state"]) == (200, "valid")
    assert token_file.read_text() == "token-of-the-new-login"
    assert (folder / "storage").read_text() == "token-of-the-new-login"


async def test_status_tells_the_socket_and_why_there_is_none(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path
) -> None:
    path = tmp_path / "run" / "oidc-agent"
    lab = await start_lab(lab_hub, agent_socket=str(path))
    async with asyncio.timeout(10):
        while not path.exists():  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.02)
    programs = (await status_of(lab))["programs"]
    assert programs == {"file": None, "socket": str(path), "account": "af", "problem": None}
    await lab.app.cleanup_extensions()
    assert not path.exists()


async def test_status_says_what_is_wrong_when_the_socket_cannot_be_made(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path
) -> None:
    lab = await start_lab(lab_hub, agent_socket=str(tmp_path / ("x" * 120)))
    await lab.app.web_app.settings["af_agent"].look()
    problem = (await status_of(lab))["programs"]["problem"]
    assert problem["code"] == "agent-socket"
