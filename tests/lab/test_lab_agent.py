"""Programs that ask oidc-agent, at the Lab's socket."""

from __future__ import annotations

import asyncio
import base64
import ctypes
import ctypes.util
import json
import os
import shutil
import socket
import stat
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from af_labextension.errors import NotAnswering, Refused
from af_labextension.secret import Secret
from af_labextension.tokens.agent.boxes import Conversation
from af_labextension.tokens.agent.messages import TokenRequest
from af_labextension.tokens.agent.server import AgentSocket
from af_labextension.tokens.agent.service import AgentService, Offer
from af_labextension.tokens.model import Token, Wanted
from af_labextension.tokens.provider import CachingTokenProvider
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ISSUER = "https://iam.example.org/"
STORAGE = "https://storage.example.org"


class Facility:
    """Gives tokens that say what they are for; `trouble` makes it fail."""

    def __init__(self) -> None:
        self.wanted: list[Wanted] = []
        self.trouble: Exception | None = None
        self.issuer = ISSUER

    async def fetch(self, wanted: Wanted) -> Token:
        """Issue a token."""
        self.wanted.append(wanted)
        if self.trouble is not None:
            raise self.trouble
        if "forbidden" in wanted.scope:
            raise Refused("scope-refused", "That is not yours.")
        now = time.time()
        value = f"token-{wanted.audience}-{len(self.wanted)}"
        return Token(Secret(value), wanted.audience, now, now + 3600, wanted.scope)

    async def offer(self) -> Offer:
        """Tell what there is."""
        return Offer(self.issuer, {"storage": STORAGE, "rucio": "rucio"}, "storage")


@pytest.fixture
def facility() -> Facility:
    return Facility()


@pytest_asyncio.fixture
async def agent(facility: Facility, tmp_path: Path) -> AsyncIterator[AgentSocket]:
    service = AgentService(CachingTokenProvider(facility.fetch), facility.offer, ["af", "wlcg"])
    made = AgentSocket(tmp_path / "run" / "oidc-agent", service.answer, patience=2.0, at_once=40)
    await made.listen()
    yield made
    await made.stop()


async def run(agent: AgentSocket, *command: str) -> tuple[int, str, str]:
    """Run a program of Debian's oidc-agent."""
    require("oidc-agent", shutil.which(command[0]), f"{command[0]} is not installed")
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "OIDC_SOCK": str(agent.path), "OIDC_CONFIG_DIR": str(agent.path.parent)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode().strip(), err.decode().strip()


@pytest.mark.parametrize("account", ["af", "wlcg", ISSUER, ISSUER.rstrip("/")])
async def test_token_is_printed_when_oidc_token_asks_by_account_or_issuer(
    agent: AgentSocket, account: str
) -> None:
    assert await run(agent, "oidc-token", account) == (0, "token-storage-1", "")
    # kept: a program that asks in a loop costs the hub nothing
    assert await run(agent, "oidc-token", account) == (0, "token-storage-1", "")


async def test_audience_scope_and_time_are_honoured_when_oidc_token_names_them(
    agent: AgentSocket, facility: Facility
) -> None:
    for audience in ("rucio", "storage", STORAGE):
        code, token, _ = await run(agent, "oidc-token", f"--aud={audience}", "af")
        assert (code, token.split("-")[1]) == (0, "rucio" if audience == "rucio" else "storage")
    assert len(facility.wanted) == 2
    await run(agent, "oidc-token", "--scope=storage.read:/a", "--time=600", "af")
    assert facility.wanted[-1] == Wanted("storage", "storage.read:/a", 600.0)
    code, lines, _ = await run(agent, "oidc-token", "-c", "af")
    assert f"OIDC_ISS={ISSUER};" in lines
    assert code == 0


async def test_loaded_account_is_listed_when_oidc_add_asks(agent: AgentSocket) -> None:
    code, out, _ = await run(agent, "oidc-add", "--loaded")
    assert (code, out.splitlines()[-2:]) == (0, ["af", "wlcg"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--aud=unknown", "af"), "[unknown-audience]"),
        (("--scope=forbidden", "af"), "That is not yours. [scope-refused]"),
        (("nobody",), "[agent-account]"),
        (("https://iam.example.org.evil/",), "[agent-account]"),
    ],
)
async def test_reason_is_printed_when_there_is_no_such_token(
    agent: AgentSocket, arguments: tuple[str, ...], sentence: str
) -> None:
    code, out, err = await run(agent, "oidc-token", *arguments)
    assert (code, out) == (1, "")
    assert err.endswith(sentence)


async def test_reason_is_printed_when_the_hub_is_away(
    agent: AgentSocket, facility: Facility
) -> None:
    facility.trouble = NotAnswering("hub-unreachable", "The hub does not answer now.")
    code, _, err = await run(agent, "oidc-token", "af")
    assert (code, err) == (1, "Error: The hub does not answer now. [hub-unreachable]")


PYTHON_CLIENT = """
import liboidcagent
print(liboidcagent.get_access_token("af", 60, "test"))
print(liboidcagent.get_access_token_by_issuer_url({issuer!r}, 60, "test", "openid", "rucio"))
print(liboidcagent.get_token_response("af", 60, "test")[1])
"""


async def test_token_comes_when_liboidcagent_asks_from_python(agent: AgentSocket) -> None:
    code, out, err = await run(agent, sys.executable, "-c", PYTHON_CLIENT.format(issuer=ISSUER))
    assert (code, out.splitlines()) == (0, ["token-storage-1", "token-rucio-2", ISSUER]), err


async def test_token_comes_when_liboidcagent_asks_from_c(
    agent: AgentSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = ctypes.util.find_library("oidc-agent")
    require("oidc-agent", name, "liboidc-agent is not installed")
    assert name is not None
    monkeypatch.setenv("OIDC_SOCK", str(agent.path))
    library = ctypes.CDLL(name)
    call = library.getAccessToken3
    call.restype = ctypes.c_char_p
    arguments = (b"af", ctypes.c_long(60), None, b"test", b"rucio")
    assert await asyncio.to_thread(call, *arguments) == b"token-rucio-1"


async def talk(agent: AgentSocket, request: Any, *, cut: int = 0) -> Any:
    """Put a request as a program does; `cut` sends it in pieces."""
    reader, writer = await asyncio.open_unix_connection(str(agent.path))
    try:
        conversation = Conversation()
        writer.write(conversation.key)
        conversation.meet(await reader.readexactly(44))
        message = conversation.seal(json.dumps(request).encode()) + b"\0"
        for start in range(0, len(message), cut or len(message)):
            writer.write(message[start : start + (cut or len(message))])
            await writer.drain()
            await asyncio.sleep(0)
        return json.loads(conversation.open(await reader.read()))
    finally:
        writer.close()
        await writer.wait_closed()


async def test_answer_comes_when_the_request_arrives_in_pieces(agent: AgentSocket) -> None:
    answer = await talk(agent, {"request": "access_token", "account": "af"}, cut=3)
    assert (answer["status"], answer["access_token"]) == ("success", "token-storage-1")
    assert isinstance(answer["expires_at"], int)


@pytest.mark.parametrize("name", ["add", "gen", "remove", "lock", "unlock", "delete", "", "x"])
async def test_sentence_comes_when_a_program_wants_to_change_the_agent(
    agent: AgentSocket, name: str
) -> None:
    answer = await talk(agent, {"request": name})
    assert answer["status"] == "failure"
    assert "[agent-fixed]" in answer["error"]


async def answer_to(agent: AgentSocket, *pieces: bytes) -> bytes:
    """Send bytes and return what comes back until the end."""
    reader, writer = await asyncio.open_unix_connection(str(agent.path))
    try:
        for piece in pieces:
            writer.write(piece)
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


GOOD_KEY = base64.b64encode(bytes(range(32)))


@pytest.mark.parametrize(
    "pieces",
    [
        (b"x" * 44,),
        (b"\0" * 500,),
        (GOOD_KEY, b"nonsense " * 100),
        (GOOD_KEY, b"999999:" + b"A" * 32 + b":" + b"A" * 500_000),
        (GOOD_KEY, b"-1:" + b"A" * 32 + b":AAAA"),
        (GOOD_KEY, b"2:" + b"A" * 32 + b":" + b"A" * 24),
        (GOOD_KEY, b"2:" + b"A" * 32 + b":" + b"A" * 24 + b"more" * 20),
    ],
)
async def test_malformed_request_does_no_harm(
    agent: AgentSocket, facility: Facility, pieces: tuple[bytes, ...]
) -> None:
    assert len(await answer_to(agent, *pieces)) in {0, 44}
    assert not facility.wanted
    assert (await talk(agent, {"request": "loaded_accounts"}))["info"] == ["af", "wlcg"]


async def test_silent_program_is_sent_away_when_its_time_is_over(agent: AgentSocket) -> None:
    began = time.monotonic()
    assert await answer_to(agent, GOOD_KEY) != b""
    assert time.monotonic() - began >= 1.9


async def test_others_are_served_again_when_a_flood_has_passed(
    facility: Facility, tmp_path: Path
) -> None:
    service = AgentService(CachingTokenProvider(facility.fetch), facility.offer, ["af"])
    agent = AgentSocket(tmp_path / "oidc-agent", service.answer, patience=600.0, at_once=20)
    await agent.listen()
    flood = [await asyncio.open_unix_connection(str(agent.path)) for _ in range(60)]
    sent_away = [asyncio.create_task(reader.read()) for reader, _ in flood]
    async with asyncio.timeout(20):
        while sum(task.done() for task in sent_away) < 40:  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(0.01)
    for _, writer in flood:
        writer.close()
    await asyncio.gather(*sent_away, return_exceptions=True)
    async with asyncio.timeout(20):
        while True:
            try:
                answer = await talk(agent, {"request": "loaded_accounts"})
                break
            except (OSError, EOFError):  # the server has not heard of the end yet
                await asyncio.sleep(0.01)
    assert answer["status"] == "success"
    await agent.stop()


async def test_hundred_programs_get_the_same_token_when_they_ask_at_once(
    facility: Facility, tmp_path: Path
) -> None:
    service = AgentService(CachingTokenProvider(facility.fetch), facility.offer, ["af"])
    agent = AgentSocket(tmp_path / "oidc-agent", service.answer)
    await agent.listen()
    try:
        request = {"request": "access_token", "account": "af"}
        answers = await asyncio.gather(*(talk(agent, request) for _ in range(100)))
    finally:
        await agent.stop()
    assert {answer["access_token"] for answer in answers} == {"token-storage-1"}


STRANGER = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
try:
    s.connect(sys.argv[1])
    s.sendall(sys.argv[2].encode())
    print("answer", s.recv(100))
except OSError as error:
    print(type(error).__name__)
"""


async def test_stranger_is_refused_by_the_file_and_by_the_kernels_word(
    agent: AgentSocket, tmp_path: Path
) -> None:
    require("root", os.geteuid() == 0, "only root can act as another user")
    assert stat.S_IMODE(agent.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(agent.path.parent.stat().st_mode) == 0o700
    for folder in (agent.path.parent, *tmp_path.parents, tmp_path):
        if folder.owner() == "root" and folder.name.startswith(("pytest", "test", "run")):
            folder.chmod(0o755)
    stranger = ("setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/env", "python3", "-c")
    _, out, _ = await run(agent, *stranger, STRANGER, str(agent.path), GOOD_KEY.decode())
    assert out == "PermissionError"
    agent.path.chmod(0o666)
    _, out, _ = await run(agent, *stranger, STRANGER, str(agent.path), GOOD_KEY.decode())
    assert out in {"answer b''", "BrokenPipeError", "ConnectionResetError"}


async def test_socket_is_made_again_when_somebody_removed_it(agent: AgentSocket) -> None:
    agent.path.unlink()
    await agent.look()
    assert (await talk(agent, {"request": "loaded_accounts"}))["status"] == "success"


async def test_socket_of_a_dead_lab_is_replaced(agent: AgentSocket, facility: Facility) -> None:
    path = agent.path.with_name("left")
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    again = AgentSocket(
        path, AgentService(CachingTokenProvider(facility.fetch), facility.offer, ["af"]).answer
    )
    await again.look()
    assert again.trouble is None
    assert (await talk(again, {"request": "loaded_accounts"}))["info"] == ["af"]
    await again.stop()
    assert not path.exists()


async def test_trouble_is_told_when_the_socket_cannot_be_made(
    agent: AgentSocket, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (agent.path, tmp_path / "file", tmp_path / ("x" * 120)):
        other = AgentSocket(path, agent._answer)
        await other.look()
        assert other.trouble is not None
        assert other.trouble.code == "agent-socket"
        assert str(path) in other.trouble.message
        await other.stop()
    # the socket of another agent and the user's file are as they were
    assert (await talk(agent, {"request": "loaded_accounts"}))["status"] == "success"
    assert (tmp_path / "file").read_text() == "mine"


async def test_hubs_issuer_is_told_when_a_token_has_none(agent: AgentSocket) -> None:
    answer = await talk(agent, {"request": "access_token", "issuer": ISSUER})
    assert answer["issuer"] == ISSUER


async def test_log_holds_no_token_when_programs_ask(
    agent: AgentSocket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await talk(agent, {"request": "access_token", "account": "af"})
    await talk(agent, {"request": "access_token", "account": "nobody"})
    assert "token-storage" not in caplog.text


async def test_default_is_told_when_the_facility_has_no_storage(facility: Facility) -> None:
    async def offer() -> Offer:
        return replace(await facility.offer(), audiences={}, default=None)

    service = AgentService(CachingTokenProvider(facility.fetch), offer, ["af"])

    answer = json.loads(await service.answer(TokenRequest("af")))
    assert "it has them for none" in answer["error"]
