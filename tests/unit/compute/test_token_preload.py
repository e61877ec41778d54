"""The token preload in a real scheduler and real workers, in this process."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import pytest
from distributed import Scheduler, Worker
from distributed.security import Security

from af_hub.compute import token_preload
from af_hub.compute.token_preload import PlainText, TokenRelay, take_part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECURITY = Security.temporary()  # type: ignore[no-untyped-call]  # upstream


@pytest.fixture(autouse=True)
def own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back what the preload sets: its process is ours."""
    monkeypatch.setenv("BEARER_TOKEN_FILE", "")


@asynccontextmanager
async def scheduler(folder: Path, *protocols: str) -> AsyncIterator[tuple[Scheduler, TokenRelay]]:
    """Run a scheduler that listens to the first protocol, and to the others as well."""
    with dask.config.set({"temporary-directory": str(folder)}):
        running = Scheduler(
            protocol=protocols[0],
            host="127.0.0.1",
            port=0,
            security=SECURITY if protocols[0] == "tls" else None,
            dashboard=False,
            # else it is 8787, also without a dashboard
            dashboard_address=":0",
        )
    async with running:
        for protocol in protocols[1:]:
            await _listen(running, protocol)
        relay = TokenRelay(running)
        running.add_plugin(relay)
        yield running, relay


@asynccontextmanager
async def worker(folder: Path, address: str, *, prepared: bool = True) -> AsyncIterator[Worker]:
    """Run a worker, with the preload or without."""
    security = SECURITY if address.startswith("tls://") else None
    running: Any = Worker(
        address, local_directory=str(folder), security=security, host="127.0.0.1", dashboard=False
    )
    if prepared:
        take_part(running)
    async with running:
        yield running


def written(folder: Path) -> list[str]:
    """Return what is in the token files below a folder."""
    return [each.read_text() for each in folder.rglob("bearer-token")]


async def test_scheduler_and_workers_have_the_token_when_all_is_encrypted(tmp_path: Path) -> None:
    async with (
        scheduler(tmp_path / "s", "tls") as (running, relay),
        worker(tmp_path / "a", running.address),
    ):
        said = await relay.give("first")
        assert said == {"asked": 2, "kept": 2, "failed": 0, "other": 0}
        assert written(tmp_path / "a") == written(tmp_path / "s") == ["first"]
        async with worker(tmp_path / "b", running.address) as late:
            assert os.environ["BEARER_TOKEN_FILE"].startswith(late.local_directory)
            assert await relay.give("second") == {"asked": 3, "kept": 3, "failed": 0, "other": 0}
            assert written(tmp_path) == ["second"] * 3


async def test_nothing_is_kept_or_sent_when_a_way_in_is_plain(tmp_path: Path) -> None:
    async with scheduler(tmp_path / "s", "tls", "tcp") as (running, relay):
        plain = next(
            one.contact_address
            for one in running.listeners
            if one.contact_address.startswith("tcp://")
        )
        async with worker(tmp_path / "a", plain), worker(tmp_path / "b", running.address):
            with pytest.raises(PlainText):
                await relay.give("secret")
            assert written(tmp_path) == []


async def test_nothing_is_sent_to_a_late_worker_when_a_plain_way_in_was_opened_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scheduler(tmp_path / "s", "tls") as (running, relay):
        await relay.give("secret")
        await _listen(running, "tcp")
        sent: list[str] = []
        plain_send = running.worker_send

        def send(to: str, message: dict[str, Any]) -> None:
            sent.append(message["op"])
            plain_send(to, message)

        monkeypatch.setattr(running, "worker_send", send)
        async with worker(tmp_path / "a", running.listeners[1].contact_address) as late:
            await _round_trip(running, late)
            assert "af-test" in sent
            assert token_preload.GIVE not in sent
            assert written(tmp_path / "a") == []


async def test_a_worker_keeps_no_token_when_it_comes_over_a_plain_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        scheduler(tmp_path / "s", "tcp") as (running, relay),
        worker(tmp_path / "a", running.address),
    ):
        # a scheduler that does not look
        monkeypatch.setattr(relay, "_encrypted", lambda: True)
        said = await relay.give("secret")
        assert said["failed"] == 1
        assert written(tmp_path / "a") == []


async def test_a_worker_without_the_preload_is_left_alone(tmp_path: Path) -> None:
    async with (
        scheduler(tmp_path / "s", "tls") as (running, relay),
        worker(tmp_path / "a", running.address, prepared=False) as other,
    ):
        assert await relay.give("secret") == {"asked": 1, "kept": 1, "failed": 0, "other": 1}
        await _round_trip(running, other)
        assert other.status.name == "running"
        assert written(tmp_path / "a") == []


async def test_the_last_token_stays_when_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    async with (
        scheduler(tmp_path / "s", "tls") as (running, relay),
        worker(tmp_path / "a", running.address) as one,
    ):
        await relay.give("first")
        folder, gone = Path(one.local_directory), tmp_path / "a" / "gone"
        await asyncio.to_thread(folder.rename, gone)
        said = await relay.give("second")
        assert (said["kept"], said["failed"]) == (1, 1)
        assert written(tmp_path / "a") == ["first"]
        await asyncio.to_thread(gone.rename, folder)


async def test_an_answer_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_preload, "PATIENCE", 0.1)
    async with (
        scheduler(tmp_path / "s", "tls") as (running, relay),
        worker(tmp_path / "a", running.address) as one,
    ):
        one.stream_handlers[token_preload.GIVE] = lambda **_: None
        assert await relay.give("secret") == {"asked": 2, "kept": 1, "failed": 0, "other": 0}


async def _listen(running: Scheduler, protocol: str) -> None:
    await running.listen(f"{protocol}://127.0.0.1:0")  # type: ignore[no-untyped-call]  # upstream


async def _round_trip(running: Scheduler, to: Worker) -> None:
    """Wait until a worker has handled all that was sent to it on its stream."""
    came = asyncio.Event()
    to.stream_handlers["af-test"] = came.set
    running.worker_send(to.address, {"op": "af-test"})
    await asyncio.wait_for(came.wait(), 30)
