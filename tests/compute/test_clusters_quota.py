"""Quotas on the real backend: users, schedulers that lie, an engine that fails, a restart.

Everything is the real part but the processes (`testbed.farm`). The limits are checked against what
that engine remembers at every start, never against the ledger.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING, Any

import pytest
from dask_gateway_server.backends import db_base
from dask_gateway_server.backends.db_base import JobStatus
from dask_gateway_server.models import User

from af_hub.compute import keeper, start_pace
from af_hub.compute.backend import FacilityBackend
from af_hub.compute.quota import Amount
from af_hub.compute.shown import types_json
from af_hub.compute.states import TOO_FAST, holding_of
from af_hub.compute.types import ComputeConfig
from af_hub.errors import Refusal
from testbed.farm import Farm, start_farm, stop_farm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aiohttp.web import AppRunner
    from dask_gateway_server.backends.db_base import Cluster

# Gateway itself names what it keeps in aiohttp's application by texts
pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")

GIB = 1024**3
SOAK = bool(os.environ.get("AF_SOAK"))
USERS, GROUPS, STEPS = (300, 8, 6_000) if SOAK else (60, 4, 600)

COMPUTE = ComputeConfig.model_validate(
    {
        "types": [
            {
                "name": "farm",
                "title": "Farm",
                "backend": "local",
                "worker": {
                    "cores": {"default": 1, "min": 1, "max": 4},
                    "memory": {"default": "1G", "min": "1G", "max": "4G"},
                    "gpus": {"default": 0, "min": 0, "max": 1},
                },
                "local": {"gpus": [str(number) for number in range(12)]},
                "scale": {"default": 0, "max": 40},
            }
        ],
        "quotas": {
            "user": {"clusters": 2, "workers": 14, "cores": 30},
            "groups": {
                f"/g{number}": {
                    "clusters": 25,
                    "workers": 40 + number,
                    "cores": 80,
                    "memory": "120G",
                    "gpus": 3,
                }
                for number in range(GROUPS)
            },
        },
    }
)

WORD: dict[str, Any] = {
    "scheduler_address": "tls://farm:8786",
    "dashboard_address": "http://farm:8787",
    "api_address": "https://farm:1",
    "count": 0,
    "active_workers": [],
    "closing_workers": [],
    "closed_workers": [],
}
"""Heartbeat of a scheduler that wants nothing and has nothing."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    secret = tmp_path / "secret"
    secret.write_text("ab" * 32)
    secret.chmod(0o600)
    # a key of its own takes 60 ms for each cluster, and nobody connects here
    pair = db_base.new_keypair("any")
    monkeypatch.setattr(db_base, "new_keypair", lambda _: pair)
    monkeypatch.setattr(keeper, "RECONCILE_PERIOD", 1.0)
    monkeypatch.setattr(keeper, "SWEEP_PERIOD", 0.3)
    return tmp_path


def user_of(number: int) -> User:
    """Make a user of one group."""
    return User(f"u{number}", groups={f"/g{number % GROUPS}"})


def heartbeat(draw: random.Random, backend: FacilityBackend, name: str) -> dict[str, Any]:
    """Make what a lying scheduler sends."""
    workers = list(backend.db.get_cluster(name).workers)
    some = [worker for worker in workers if draw.random() < 0.7]
    cut = draw.randrange(len(some) + 1)
    return {
        **WORD,
        "count": draw.choice((0, 1, 5, 40, 10**9)),
        "active_workers": some[:cut] + ["f" * 32 for _ in range(draw.randrange(3))],
        "closed_workers": some[cut:] if draw.random() < 0.3 else [],
    }


async def act(draw: random.Random, backend: FacilityBackend, farm: Farm) -> bool:
    """Do one thing that a user or a scheduler may do; tell whether it was refused for a quota."""
    number = draw.randrange(USERS)
    user = user_of(number)
    mine = [one for one in backend.db.list_clusters(user.name) if one.status < JobStatus.STOPPED]
    what = draw.random()
    try:
        if what < 0.2 or not mine:
            options: dict[str, Any] = {
                "worker_cores": draw.randint(1, 4),
                "worker_memory": f"{draw.randint(1, 4)}G",
                "worker_gpus": draw.choice((0, 0, 1)),
            }
            scale = {"mode": "fixed", "workers": draw.choice((0, 2, 20))}
            # who it is must be known before the first worker starts
            before = set(backend.db.name_to_cluster)
            cluster = await backend.create(user, options, scale)
            assert cluster.name not in before
            size = Amount(
                workers=1,
                cores=options["worker_cores"],
                memory=cluster.config.worker_memory,
                gpus=options["worker_gpus"],
            )
            farm.owners[cluster.name] = user.name, f"/g{number % GROUPS}", size
        elif what < 0.9:
            name = draw.choice(mine).name
            await backend.on_cluster_heartbeat(name, heartbeat(draw, backend, name))
        else:
            await backend.stop_cluster(draw.choice(mine).name)
    except Refusal as refusal:
        if refusal.code != "quota":
            raise
        return True
    return False


async def until(what: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(60):
        while not what():  # noqa: ASYNC110  many things change it
            await asyncio.sleep(0.01)


async def no_scheduler(*_: object) -> None:
    """Send nothing to a scheduler: there is none."""


async def one_cluster(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Farm, FacilityBackend, AppRunner, Cluster]:
    """Start a farm that never fails, with one cluster."""
    monkeypatch.setattr(FacilityBackend, "_send_scale", no_scheduler)
    farm = Farm(COMPUTE, random.Random(1), 0)  # noqa: S311  not for secrets
    backend, runner = await start_farm(folder, farm, monkeypatch)
    cluster = await backend.create(user_of(0), {}, {"mode": "fixed", "workers": 0})
    farm.owners[cluster.name] = "u0", "/g0", Amount(workers=1, cores=1, memory=GIB)
    await until(lambda: cluster.status >= JobStatus.SUBMITTED)
    return farm, backend, runner, cluster


async def test_no_quota_is_exceeded_when_schedulers_lie_and_the_engine_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FacilityBackend, "_send_scale", no_scheduler)
    draw = random.Random(20261128)  # noqa: S311  not for secrets
    farm = Farm(COMPUTE, draw, 0.03)
    refused = held = 0
    backend, runner = await start_farm(folder, farm, monkeypatch)
    for step in range(STEPS):
        refused += await act(draw, backend, farm)
        if step % 5 == 0:
            await asyncio.sleep(0.002)
        held = max(held, len(backend._held))
        if step in {STEPS // 3, 2 * STEPS // 3}:
            # as a crash: nothing is told to anybody, what runs runs on
            await stop_farm(backend, runner)
            backend, runner = await start_farm(folder, farm, monkeypatch)
            living = [len(holding_of(one).workers) for one in backend.db.active_clusters()]
            counted = [backend.ledger.workers(one.name) for one in backend.db.active_clusters()]
            assert counted == living
            assert sum(counted) > 20
    assert farm.violations == []
    # it was about something
    assert refused > STEPS / 50
    assert held > 3
    assert farm.most["workers"] >= 40
    assert farm.most["gpus"] == 3

    # when all is closed, nothing runs and nothing is counted
    for cluster in list(backend.db.active_clusters()):
        await backend.stop_cluster(cluster.name)
    await until(
        lambda: all(one.status >= JobStatus.STOPPED for one in backend.db.name_to_cluster.values())
    )
    assert farm.living == {}
    assert {balance.used for balance in backend.ledger.balances()} == {Amount()}
    await stop_farm(backend, runner)


async def test_workers_start_by_themselves_when_room_appears(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FacilityBackend, "_send_scale", no_scheduler)
    draw = random.Random(1)  # noqa: S311  not for secrets
    farm = Farm(COMPUTE, draw, 0)
    backend, runner = await start_farm(folder, farm, monkeypatch)
    # 40 cores each: the group has 80, a user 30
    names = []
    for number in (0, 4, 8):
        cluster = await backend.create(
            user_of(number), {"worker_cores": 4}, {"mode": "fixed", "workers": 0}
        )
        size = Amount(workers=1, cores=4, memory=GIB)
        farm.owners[cluster.name] = f"u{number}", f"/g{number % GROUPS}", size
        names.append(cluster.name)

    def says(name: str, count: int) -> dict[str, Any]:
        active = [worker for worker, cluster in farm.living.items() if cluster == name]
        return {
            **heartbeat(draw, backend, name),
            "count": count,
            "active_workers": active,
            "closed_workers": [],
        }

    async def reach(wanted: list[int]) -> None:
        await until(lambda: [list(farm.living.values()).count(name) for name in names] == wanted)

    clusters = [backend.db.get_cluster(name) for name in names]
    await until(lambda: all(one.status >= JobStatus.SUBMITTED for one in clusters))
    for position, wanted in enumerate(([7, 0, 0], [7, 7, 0], [7, 7, 6])):
        # each wants forty: a user's 30 cores are 7 workers, and the last finds the group's rest
        await backend.on_cluster_heartbeat(names[position], says(names[position], 40))
        await reach(wanted)
    sentences = [backend.held(backend.db.get_cluster(name)) for name in names]
    assert sentences[0] == "Your quota: 28 of 30 cores in use; you can start none now."
    assert sentences[2] == "/g0: 80 of 80 cores in use; you can start none now."
    created = sum(len(one.workers) for one in backend.db.name_to_cluster.values())
    # no loop: the same wish again and again starts nothing
    for _ in range(20):
        await backend.on_cluster_heartbeat(names[2], says(names[2], 40))
        await asyncio.sleep(0.01)
    assert sum(len(one.workers) for one in backend.db.name_to_cluster.values()) == created
    await backend.stop_cluster(names[0])
    await reach([0, 7, 7])
    assert backend.held(backend.db.get_cluster(names[2])) == sentences[0]
    await backend.on_cluster_heartbeat(names[2], says(names[2], 7))
    await until(lambda: backend.held(clusters[2]) is None)
    await stop_farm(backend, runner)


async def test_a_worker_is_replaced_when_its_process_went_without_a_word(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm, backend, runner, cluster = await one_cluster(folder, monkeypatch)
    says = {**WORD, "count": 2}
    await backend.on_cluster_heartbeat(cluster.name, says)
    await until(lambda: len(farm.living) == 2)
    await until(lambda: all(w.status == JobStatus.SUBMITTED for w in cluster.workers.values()))
    says["active_workers"] = list(farm.living)
    await backend.on_cluster_heartbeat(cluster.name, says)
    lost = says["active_workers"][0]
    del farm.living[lost]
    await until(lambda: len(farm.living) == 2)
    assert cluster.workers[lost].status == JobStatus.FAILED
    # and what no record knows is ended
    farm.living["f" * 32] = cluster.name
    await until(lambda: "f" * 32 not in farm.living)
    await stop_farm(backend, runner)


async def test_workers_wait_when_their_scheduler_calls_them_closed_again_and_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_pace, "WINDOW", 3.0)
    farm, backend, runner, cluster = await one_cluster(folder, monkeypatch)
    says = {**WORD, "count": 2}

    async def say(state: str) -> None:
        await backend.on_cluster_heartbeat(cluster.name, {**says, state: list(farm.living)})
        await asyncio.sleep(0.01)

    async def close_until(what: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not what():
                await say("active_workers")  # else Gateway gives the cluster up
                await say("closed_workers")

    await close_until(lambda: backend.held(cluster) == TOO_FAST)
    assert len(cluster.workers) == 2 * 2 + start_pace.SPARE
    # they come when time has passed, by themselves
    await until(lambda: len(farm.living) == 2 and backend.held(cluster) is None)
    await stop_farm(backend, runner)


async def test_stopped_workers_are_forgotten_when_their_cluster_lives_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "WORKERS_KEPT", 0.5)
    farm, backend, runner, cluster = await one_cluster(folder, monkeypatch)
    says = {**WORD, "count": 1}
    await backend.on_cluster_heartbeat(cluster.name, says)
    await until(lambda: len(farm.living) == 1)
    (first,) = farm.living
    await backend.on_cluster_heartbeat(cluster.name, {**says, "active_workers": [first]})
    await backend.on_cluster_heartbeat(cluster.name, {**says, "closed_workers": [first]})
    await until(lambda: list(cluster.workers) == list(farm.living) and first not in farm.living)
    assert len(farm.living) == 1
    # its scheduler may still name it, and a restart does not find it
    await backend.on_cluster_heartbeat(
        cluster.name, {**says, "active_workers": list(farm.living), "closed_workers": [first]}
    )
    await stop_farm(backend, runner)
    backend, runner = await start_farm(folder, farm, monkeypatch)
    assert list(backend.db.get_cluster(cluster.name).workers) == list(farm.living)
    await stop_farm(backend, runner)


async def test_a_type_says_so_when_its_backend_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm = Farm(COMPUTE, random.Random(3), 0)  # noqa: S311  not for secrets
    backend, runner = await start_farm(folder, farm, monkeypatch)
    assert [one["available"] for one in (await types_json(backend, user_of(0)))["types"]] == [True]
    farm.away = True
    answer = await types_json(backend, user_of(0))
    assert [one["available"] for one in answer["types"]] == [False]
    assert answer["types"][0]["reason"]
    with pytest.raises(Refusal) as refused:
        await backend.create(user_of(0), {}, None)
    assert (refused.value.code, refused.value.status) == ("backend-unavailable", 503)
    assert list(backend.db.name_to_cluster) == []
    await stop_farm(backend, runner)
