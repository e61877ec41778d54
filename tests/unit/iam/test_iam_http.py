"""When a call to the identity provider is made again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from af_hub.errors import IAMUnavailable
from af_hub.iam import http as module
from af_hub.iam.http import IAMHttp

if TYPE_CHECKING:
    from testbed.iam import IAM


class Road:
    """A port before the identity provider's; the first connections get no answer.

    Parameters
    ----------
    port
        Of the identity provider.
    silent
        Connections that get nothing, not even a TLS handshake.
    """

    def __init__(self, port: int, silent: int) -> None:
        self._port = port
        self._silent = silent
        self.connections = 0
        self._serving: list[asyncio.Task[None] | None] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def close(self) -> None:
        """Close all connections: what is left open is noticed in some later test."""
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*filter(None, self._serving), return_exceptions=True)
        await asyncio.gather(
            *(writer.wait_closed() for writer in self._writers), return_exceptions=True
        )

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        self._serving.append(asyncio.current_task())
        self._writers.append(writer)
        if self.connections <= self._silent:
            with suppress(ConnectionError):
                while await reader.read(65536):
                    pass
        else:
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
            self._writers.append(back)
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        writer.close()


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


@pytest.mark.parametrize("silent", [1, 9], ids=["once", "always"])
async def test_a_form_is_posted_again_when_the_handshake_timed_out(
    iam: IAM, monkeypatch: pytest.MonkeyPatch, silent: int
) -> None:
    monkeypatch.setattr(module, "CONNECT_TIMEOUT", 1.0)
    road = Road(iam.config.https_port, silent)
    server = await asyncio.start_server(road.take, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/token"
    asked = IAMHttp(str(iam.layout.ca_bundle)).post(url, {}, purpose="refresh")
    try:
        if silent == 1:
            assert (await asked).status in {400, 401}
            assert road.connections == 2
            return
        with pytest.raises(IAMUnavailable) as caught:
            await asked
        assert caught.value.code == "iam-unreachable"
        assert road.connections == 3  # and not for ever
    finally:
        server.close()
        await road.close()
