"""What the gateway makes of schedulers that answer oddly: they are the users' processes."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web
from dask_gateway_server.models import Cluster, ClusterStatus
from dask_gateway_server.tls import new_keypair

from af_hub.compute import channel
from af_hub.compute.channel import put_token
from af_hub.errors import ComputeError
from af_hub.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PAIR, OTHER = (new_keypair("daskgateway-c") for _ in range(2))


@asynccontextmanager
async def scheduler(
    folder: Path, handler: Handler, pair: tuple[bytes, bytes] = PAIR
) -> AsyncIterator[Cluster]:
    """Serve the message channel of a cluster."""
    for name, content in zip(("crt", "key"), pair, strict=True):
        (folder / name).write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    app = web.Application()
    app.router.add_put("/api/af/token", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield Cluster(
            name="c",
            username="alice",
            token="gateway-secret",
            options={},
            config={},
            status=ClusterStatus.RUNNING,
            scheduler_address="tls://127.0.0.1:9",
            api_address=f"https://127.0.0.1:{port}",
            tls_cert=PAIR[0],
            tls_key=PAIR[1],
        )
    finally:
        await runner.cleanup()


async def refused(cluster: Cluster) -> ComputeError:
    """Send a token that is not taken; return why."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ComputeError) as error:
            await put_token(session, cluster, Secret("canary"))
    return error.value


def answers(body: bytes | str, status: int = 200, **headers: str) -> Handler:
    """Return a handler that answers so."""

    async def handler(_: web.Request) -> web.Response:
        content = body if isinstance(body, bytes) else body.encode()
        return web.Response(body=content, status=status, headers=headers)

    return handler


@pytest.mark.parametrize(
    "body",
    [
        "",
        "canary",
        "[]",
        "null",
        "[" * 4000,
        '{"kept": 1}',
        '{"kept": -1, "failed": 0}',
        '{"kept": true, "failed": false}',
        '{"kept": 1, "failed": Infinity}',
        '{"kept": 1, "failed": "9"}',
        '{"kept": 1, "failed": ' + "9" * 3000 + "}",
        b"\xff\xfe",
    ],
)
async def test_nonsense_is_no_answer_and_is_not_repeated(tmp_path: Path, body: bytes | str) -> None:
    async with scheduler(tmp_path, answers(body)) as cluster:
        error = await refused(cluster)
    assert error.code == "scheduler-unreachable"
    assert "canary" not in f"{error.message} {error.detail}"


async def test_only_the_beginning_of_an_answer_is_read(tmp_path: Path) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b'{"kept": 1, "failed": 0}')
        with suppress(ConnectionError):
            while True:
                await answer.write(b" " * 10**6)
                sent += 1
        return answer

    async with scheduler(tmp_path, endless) as cluster, aiohttp.ClientSession() as session:
        await put_token(session, cluster, Secret("canary"))
    assert sent < 50


@pytest.mark.parametrize(("status", "code"), [(409, "plain-text"), (403, "scheduler-unreachable")])
async def test_a_refusal_is_told_by_its_status_only(tmp_path: Path, status: int, code: str) -> None:
    async with scheduler(tmp_path, answers("canary", status)) as cluster:
        error = await refused(cluster)
    assert error.code == code
    assert "canary" not in f"{error.message} {error.detail}"


async def test_a_token_is_not_sent_on_when_the_scheduler_says_so(tmp_path: Path) -> None:
    came: list[str] = []

    async def thief(request: web.Request) -> web.Response:
        came.append(await request.text())
        return web.Response()

    async with (
        scheduler(tmp_path, thief) as elsewhere,
        scheduler(
            tmp_path, answers("", 307, Location=f"{elsewhere.api_address}/api/af/token")
        ) as cluster,
    ):
        assert (await refused(cluster)).code == "scheduler-unreachable"
    assert came == []


async def test_a_token_is_not_sent_to_who_has_another_certificate(tmp_path: Path) -> None:
    came: list[str] = []

    async def thief(request: web.Request) -> web.Response:
        came.append(await request.text())
        return web.json_response({"kept": 1, "failed": 0})

    async with scheduler(tmp_path, thief, OTHER) as cluster:
        assert (await refused(cluster)).code == "scheduler-unreachable"
    assert came == []


@pytest.mark.parametrize("part", ["api_address", "scheduler_address"])
async def test_a_token_is_not_sent_where_something_is_plain(tmp_path: Path, part: str) -> None:
    came: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        came.append(await request.text())
        return web.json_response({"kept": 1, "failed": 0})

    async with scheduler(tmp_path, handler) as cluster:
        plain = {"https://": "http://", "tls://": "tcp://"}
        address = getattr(cluster, part)
        scheme = next(one for one in plain if address.startswith(one))
        setattr(cluster, part, address.replace(scheme, plain[scheme]))
        assert (await refused(cluster)).code == "plain-text"
    assert came == []


async def test_a_scheduler_that_never_answers_holds_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "TIMEOUT", aiohttp.ClientTimeout(total=0.3))

    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await request.loop.create_future()
        return answer

    async with scheduler(tmp_path, drip) as cluster:
        assert (await refused(cluster)).code == "scheduler-unreachable"
