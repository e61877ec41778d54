"""A spawner of pods that ends its server by itself; the rules alone are in `test_ends_rules`."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.spawner.ends.rules import Report
from af_hub.spawner.kube.spawner import KubeSpawner
from af_hub.spawner.record import Record
from testbed.kube_spawner import spawner
from testbed.plans import SMALL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PLAN = replace(
    SMALL,
    idle_timeout=1800.0,
    gpu_idle_timeout=600.0,
)


class Stopping(KubeSpawner):
    """Stops no pod, since there is none; polls while it stops, as JupyterHub's spawners do."""

    stops = 0

    async def stop(self, now: bool = False) -> None:  # noqa: ARG002  upstream's signature
        """Forget the server."""
        self.stops += 1
        assert await self.end_if_over() is False
        self.clear_state()


@asynccontextmanager
async def running(
    monkeypatch: pytest.MonkeyPatch, *, age: float, **limits: Any
) -> AsyncIterator[Any]:
    """Make a spawner whose pod has run for some seconds."""
    async with spawner(monkeypatch, kind=Stopping) as made:
        await made.tell_plan(PLAN)
        started_at = int(time.time() - age)
        made._looked_after_since = started_at
        made.record = Record("mark", "small", started_at, 0, (), (), **limits)
        yield made


def test_plan_without_gpu_has_no_gpu_limit() -> None:
    record = Record.of(PLAN, server="m", started_at=0, cores=(), gpus=())
    assert (record.idle, record.gpu_idle) == (1800, 0)


async def test_server_is_stopped_once_and_its_user_told_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(monkeypatch, age=3600, idle=1800) as made:
        assert await made.end_if_over() is True
        assert made.stops == 1
        ended = made.ended
        assert ended is not None
        assert ended.words == "no activity for 30 min"
        # nothing runs any more
        assert await made.end_if_over() is False
        await made.tell_plan(PLAN)
        assert made.ended is None


async def test_server_goes_on_when_jupyterhub_knows_of_activity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(monkeypatch, age=3600, idle=1800) as made:
        made.orm_spawner.last_activity = datetime.fromtimestamp(time.time() - 1700, UTC).replace(
            tzinfo=None
        )
        assert await made.end_if_over() is False
        made.activity_lag = 0.0
        made.orm_spawner.last_activity = datetime.fromtimestamp(time.time() - 1801, UTC).replace(
            tzinfo=None
        )
        assert await made.end_if_over() is True


async def test_server_is_tried_again_when_its_stop_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Failing(Stopping):
        async def stop(self, now: bool = False) -> None:  # noqa: ARG002  upstream's
            self.stops += 1
            if self.stops == 1:
                raise TimeoutError
            self.clear_state()

    async with spawner(monkeypatch, kind=Failing) as made:
        made.record = Record("mark", "small", int(time.time() - 100), 10, (), ())
        with pytest.raises(TimeoutError):
            await made.end_if_over()
        assert made.ended is None
        assert await made.end_if_over() is True


async def test_activity_is_saved_at_most_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch, age=100, idle=1800) as made:
        now = time.time()
        made.hear(Report(now - 50, None))
        first = made.orm_spawner.state["af_activity"]
        assert first["active_at"] == now - 50
        made.hear(Report(now, None))
        assert made.orm_spawner.state["af_activity"] == first
        made._saved_at -= 60
        made.hear(Report(now, None))
        assert made.orm_spawner.state["af_activity"]["active_at"] == now


async def test_activity_of_an_earlier_start_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch, age=100, idle=1800) as made:
        made.hear(Report(time.time(), None))
        made.load_state(made.get_state())
        assert "af_activity" in made.get_state()
        await made.tell_plan(PLAN)
        assert "af_activity" not in made.get_state()
        made.hear(Report(time.time(), None))
        made.clear_state()
        assert "af_activity" not in made.get_state()
        made.hear(Report(time.time(), None))
        assert made.activity is None
