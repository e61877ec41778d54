"""A start or a stop while the API server comes back, as the spawner takes its answers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from kubernetes_asyncio.client import ApiClient, ApiException, Configuration, CoreV1Api

from af_hub.errors import Refusal
from af_hub.spawner.kube.follow import REFUSED_AT_MOST
from af_hub.spawner.kube.homes import OWNER
from af_hub.spawner.kube.lasting import LastingKubeSpawner
from testbed.kube_spawner import spawner as spawner_of
from testbed.virtual_time import VirtualTime


async def answer(status: int) -> bool:
    """Answer as the API server does."""
    if status >= 300:
        raise ApiException(status=status)
    return True


@pytest.fixture
def spawner() -> LastingKubeSpawner:
    """Give a spawner that has not begun anything."""
    return LastingKubeSpawner.__new__(LastingKubeSpawner)


async def test_start_bears_a_no_when_the_server_was_away_before(
    spawner: LastingKubeSpawner,
) -> None:
    """One that has just started knows no roles."""
    for _ in range(2):
        for status in (503, *[403] * REFUSED_AT_MOST):
            assert await spawner._answered(answer(status)) is False
        assert await spawner._answered(answer(201)) is True


async def test_start_is_refused_when_the_server_keeps_saying_no(
    spawner: LastingKubeSpawner,
) -> None:
    for status in (503, *[403] * REFUSED_AT_MOST):
        await spawner._answered(answer(status))
    with pytest.raises(ApiException, match="403"):
        await spawner._answered(answer(403))


@pytest.mark.parametrize("before", [(), (201,), (503, 201)])
async def test_start_is_refused_at_once_when_the_server_was_there(
    spawner: LastingKubeSpawner, before: tuple[int, ...]
) -> None:
    for status in before:
        await spawner._answered(answer(status))
    with pytest.raises(ApiException, match="403"):
        await spawner._answered(answer(403))


async def test_start_is_refused_at_once_when_the_pod_is_wrong(spawner: LastingKubeSpawner) -> None:
    await spawner._answered(answer(503))
    with pytest.raises(ApiException, match="422"):
        await spawner._answered(answer(422))


def deleted(monkeypatch: pytest.MonkeyPatch, *statuses: int) -> int:
    """Delete a pod at a server that answers so, and then with a yes; return how often it was asked."""
    left, asked = list(statuses), 0

    async def answer(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        status = left.pop(0) if left else 200
        return web.json_response({} if status == 200 else {"message": "no"}, status=status)

    async def story() -> None:
        app = web.Application()
        app.router.add_delete("/api/v1/namespaces/labs/pods/jupyter-alice", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with (
                ApiClient(Configuration(host=url)) as client,
                spawner_of(monkeypatch) as made,
            ):
                made.api = CoreV1Api(client)
                assert await made._make_delete_pod_request("jupyter-alice", None, 0, 3)
        finally:
            await runner.cleanup()

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        runner.run(story())
    return asked


@pytest.mark.parametrize(
    "statuses", [(200,), (404,), (503, 429, 200), (*[403] * REFUSED_AT_MOST, 200), (503, 403, 200)]
)
def test_pod_is_deleted_when_the_server_comes_back(
    monkeypatch: pytest.MonkeyPatch, statuses: tuple[int, ...]
) -> None:
    """JupyterHub does not ask again: a Lab that nobody knows of would run for ever."""
    assert deleted(monkeypatch, *statuses) == len(statuses)


@pytest.mark.parametrize("statuses", [[403] * (REFUSED_AT_MOST + 1), [503, 422], [401]])
def test_delete_says_so_when_the_server_keeps_saying_no(
    monkeypatch: pytest.MonkeyPatch, statuses: list[int]
) -> None:
    with pytest.raises(ApiException, match=str(statuses[-1])):
        deleted(monkeypatch, *statuses)


@pytest.mark.parametrize(("owner", "ended"), [("alice", True), (None, True), ("a-lice", False)])
async def test_pod_of_somebody_else_is_left_alone_when_it_has_the_name(
    monkeypatch: pytest.MonkeyPatch, owner: str | None, ended: bool
) -> None:
    """One's own, left from before, makes way."""
    annotations = {} if owner is None else {OWNER: owner}
    there = {"metadata": {"annotations": annotations}}
    monkeypatch.setattr(LastingKubeSpawner, "_pod", there)
    stopped = []

    async def conflict(_pod: object) -> None:
        raise ApiException(status=409)

    async def stop(**_: object) -> None:
        stopped.append(True)

    async with spawner_of(monkeypatch) as made:
        monkeypatch.setattr(made, "_create_pod", conflict)
        monkeypatch.setattr(made, "stop", stop)
        if ended:
            assert await made._make_create_pod_request(None, 3) is False
        else:
            with pytest.raises(Refusal, match="Another user's server is called jupyter-alice"):
                await made._make_create_pod_request(None, 3)
    assert bool(stopped) is ended


async def test_pod_that_nobody_has_seen_is_waited_for_when_it_has_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whose it is, the watch will tell."""
    monkeypatch.setattr(LastingKubeSpawner, "_pod", None)

    async def conflict(_pod: object) -> None:
        raise ApiException(status=409)

    async def stop(**_: object) -> None:
        raise AssertionError

    async with spawner_of(monkeypatch) as made:
        monkeypatch.setattr(made, "_create_pod", conflict)
        monkeypatch.setattr(made, "stop", stop)
        assert await made._make_create_pod_request(None, 3) is False


async def test_pod_of_somebody_else_is_not_taken_for_ones_own_when_it_has_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """JupyterHub asks whether a server runs, and stops what could not start."""
    metadata = {"name": "jupyter-alice", "annotations": {OWNER: "a-lice"}}
    lab = {"name": "notebook", "state": {"running": {}}, "ready": True}
    status = {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [lab]}
    there = {"metadata": metadata, "status": status}
    asked = []

    class Cluster:
        async def delete_namespaced_pod(self, *_: object, **__: object) -> None:
            asked.append("delete")

    async def watching(**_: object) -> None:
        """Watch already."""

    async with spawner_of(monkeypatch) as made:
        reflector = SimpleNamespace(pods={"labs/jupyter-alice": there}, first_load_future=None)
        monkeypatch.setattr(LastingKubeSpawner, "pod_reflector", reflector)
        monkeypatch.setattr(made, "_start_watching_pods", watching)
        made.api = Cluster()
        assert await made.poll() == 1
        await made.stop(now=True)
        assert asked == []


async def test_pod_is_looked_at_again_when_something_was_told_about_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hub looks at each of its servers every few seconds."""
    looks = []

    async def watching(**_: object) -> None:
        """Watch already."""

    async def look(_self: object) -> int | None:
        looks.append(True)
        return 1 if reflector.pods["labs/jupyter-alice"]["status"]["phase"] == "Gone" else None

    def told(phase: str) -> dict[str, Any]:
        return {"metadata": {"name": "jupyter-alice"}, "status": {"phase": phase}}

    async with spawner_of(monkeypatch) as made:
        reflector = SimpleNamespace(pods={"labs/jupyter-alice": told("Running")})
        monkeypatch.setattr(LastingKubeSpawner, "pod_reflector", reflector)
        monkeypatch.setattr(made, "_start_watching_pods", watching)
        monkeypatch.setattr("kubespawner.KubeSpawner.poll", look)
        assert [await made.poll() for _ in range(3)] == [None] * 3
        assert len(looks) == 1
        reflector.pods["labs/jupyter-alice"] = told("Running")
        assert await made.poll() is None
        assert len(looks) == 2
        reflector.pods["labs/jupyter-alice"] = told("Gone")
        assert [await made.poll() for _ in range(2)] == [1, 1]
        assert len(looks) == 4
