"""A Lab without a hub whose user runs an oidc-agent: a real one, with a real account."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from af_labextension.errors import LabError, NotAnswering
from af_labextension.tokens.agent.client import AgentClient
from af_labextension.tokens.model import Wanted
from testbed.iam import start_iam
from testbed.oidc_agent import OidcAgent, running_agent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.iam import IAM
    from testbed.lab_server import LabServer, StartLab

DOOR = {
    "name": "demo",
    "title": "Storage",
    "url": "https://127.0.0.1:1/store",
    "audience": "storage",
}


@pytest.fixture(scope="module")
def agent_iam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IAM]:
    """Give an IAM that rotates the refresh tokens of the agent's client, as IAM's own clients do."""
    root = tmp_path_factory.mktemp("agent-iam")
    iam = start_iam(root, more_clients={"agent": {"reuse_refresh_token": False}})
    yield iam.acting_as("agent")
    iam.stop()


@pytest.fixture
def agent(agent_iam: IAM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OidcAgent]:
    for name in ("BEARER_TOKEN_FILE", "AF_TOKEN_DIR"):
        monkeypatch.delenv(name, raising=False)
    with running_agent(tmp_path / "agent", agent_iam) as running:
        running.make_account("mine", "alice")
        yield running


async def token_row(lab: LabServer) -> dict[str, Any]:
    answer = await lab.fetch("af/status")
    assert answer.code == 200
    (row,) = json.loads(answer.body)["tokens"]
    found: dict[str, Any] = row
    return found


async def until(lab: LabServer, state: str, word: str) -> None:
    """Wait until the status bar shows a state, and says what to do."""
    async with asyncio.timeout(60):
        while True:
            row = await token_row(lab)
            if row["state"] == state and word in (row["message"] or ""):
                return
            await asyncio.sleep(0.1)


async def test_lab_shows_the_agents_token_when_there_is_no_hub(
    agent: OidcAgent, start_lab: StartLab
) -> None:
    lab = await start_lab(None, storage_doors=[DOOR], agent_socket=str(agent.socket))
    row = await token_row(lab)
    assert (row["audience"], row["state"], row["message"]) == ("storage", "valid", None)
    assert row["expires_at"] > time.time()


async def test_files_are_kept_from_the_agent_when_the_lab_is_told_so(
    agent: OidcAgent, start_lab: StartLab, tmp_path: Path
) -> None:
    file = tmp_path / "run" / "bt"
    await start_lab(
        None,
        storage_doors=[DOOR],
        agent_socket=str(agent.socket),
        token_source="oidc-agent",
        bearer_token_file=str(file),
        own_agent_account="mine",
        own_agent_audiences={"storage": "https://storage.example.org"},
    )
    async with asyncio.timeout(60):
        while not file.exists():  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.05)
    claims = jwt.decode(file.read_text(), options={"verify_signature": False})
    assert claims["aud"] == "https://storage.example.org"


async def test_advice_is_shown_and_work_goes_on_when_the_agent_was_locked_or_gone(
    agent: OidcAgent, start_lab: StartLab
) -> None:
    lock(agent, "lock")
    lab = await start_lab(None, storage_doors=[DOOR], agent_socket=str(agent.socket))
    await until(lab, "error", "oidc-add --unlock")
    lock(agent, "unlock")
    await until(lab, "valid", "")
    agent.stop()
    other = await start_lab(None, storage_doors=[DOOR], agent_socket=str(agent.socket))
    await until(other, "error", "Start it with `oidc-agent`")
    agent.start()
    await until(other, "error", "oidc-add")
    agent.run("oidc-add", "mine", "--pw-env=OIDC_ENCRYPTION_PW")
    await until(other, "valid", "")
    assert (await token_row(other))["message"] is None


def lock(agent: OidcAgent, how: str) -> None:
    """Lock or unlock: the program insists on a terminal."""
    subprocess.run(
        ["script", "-qec", f"oidc-add --{how}", "/dev/null"],
        env=agent.environment,
        input="word\nword\n",
        text=True,
        capture_output=True,
        timeout=60,
        check=True,
    )


async def test_audience_and_scope_reach_the_provider_when_they_are_asked_for(
    agent: OidcAgent,
) -> None:
    client = AgentClient(agent.socket, agent.iam.issuer, {"rucio": "rucio"})
    token = await client.token(Wanted("rucio", "openid"))
    claims = jwt.decode(token.value.reveal(), options={"verify_signature": False})
    assert (claims["aud"], claims["scope"]) == ("rucio", "openid")
    assert token.issuer == agent.iam.issuer


async def test_every_refresh_token_is_used_once_when_the_provider_rotates(
    agent: OidcAgent,
) -> None:
    client = AgentClient(agent.socket)
    agent.iam.forget_calls()
    for _ in range(3):
        await client.token(Wanted("storage", min_left=9999))
    calls = agent.iam.calls("token", grant="refresh_token")
    assert [call.status for call in calls] == [200, 200, 200]


async def test_account_is_refused_with_advice_when_it_is_not_loaded(agent: OidcAgent) -> None:
    for account in ("other", "https://iam.example.org/"):
        with pytest.raises(LabError, match="oidc-add") as caught:
            await AgentClient(agent.socket, account).token(Wanted("storage"))
        assert caught.value.code == "agent-account"


ECHO = "Invalid refresh token: " + "eyJhbGciOiJub25lIn0.eyJqdGkiOiJwbGFudGVkIn0."


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (json.dumps({"status": "failure", "error": ECHO}), "agent-failed"),
        (json.dumps({"status": "failure"}), "agent-failed"),
        (json.dumps({"status": "success", "access_token": "a b"}), "agent-garbage"),
        ("[]", "agent-garbage"),
        ("{", "agent-garbage"),
    ],
)
async def test_words_of_the_agent_are_scrubbed_when_they_hold_a_token(
    tmp_path: Path, answer: str, code: str
) -> None:
    from af_labextension.tokens.agent.boxes import Conversation

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation()
        conversation.meet(await reader.readexactly(44))
        writer.write(conversation.key)
        await reader.read(10_000)
        writer.write(conversation.seal(answer.encode()))
        writer.close()

    path = tmp_path / "s"
    async with await asyncio.start_unix_server(talk, str(path)):
        with pytest.raises(NotAnswering) as caught:
            await AgentClient(path, "mine").token(Wanted("storage"))
    assert caught.value.code == code
    assert "eyJ" not in str(caught.value) + caught.value.detail


async def test_agent_is_given_up_when_it_does_not_answer(tmp_path: Path) -> None:
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(tmp_path / "s"))
    silent.listen()
    for path in (tmp_path / "s", tmp_path / "none", None):
        with pytest.raises(NotAnswering) as caught:
            await AgentClient(path, "mine", patience=0.3).token(Wanted("storage"))
        assert caught.value.code == "agent-gone"
    silent.close()
