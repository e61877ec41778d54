"""The cluster's API server away for a while, or saying no, as a spawner takes it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from kubernetes_asyncio.client import ApiClient, ApiException, Configuration, CoreV1Api

from af_hub.spawner.kube.api_server import LastingPodReflector, lost_refusal, no_refusal
from af_hub.spawner.kube.follow import REFUSED_AFTER_AN_ABSENCE, is_away
from af_hub.spawner.policy.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POD = {"metadata": {"name": "jupyter-alice", "namespace": "labs"}}
LIST = {"items": [POD], "metadata": {"resourceVersion": "7"}}


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, list[int]]]:
    """Give an API server's address, and the statuses that it answers before it is well."""
    statuses: list[int] = []

    async def pods(_request: web.Request) -> web.Response:
        if statuses:
            status = statuses.pop(0)
            # a starting server speaks JSON when it says no, and text when it is not there yet
            body: Any = {"message": "forbidden"} if status == 403 else None
            return web.json_response(body, status=status) if body else web.Response(status=status)
        return web.json_response(LIST)

    app = web.Application()
    app.router.add_get("/api/v1/namespaces/labs/pods", pods)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", statuses
    await runner.cleanup()


async def read(monkeypatch: pytest.MonkeyPatch, url: str, *, again: bool) -> LastingPodReflector:
    """Let a reflector read the pods; `again` says that it has done so before."""
    async with ApiClient(Configuration(host=url)) as client:
        monkeypatch.setattr("kubespawner.reflector.shared_client", lambda _: CoreV1Api(client))
        reflector = LastingPodReflector(namespace="labs", retry_after=0.01)
        if again:
            reflector.first_load_future.set_result(None)
        await reflector._list_and_update()
        return reflector


@pytest.mark.parametrize("again", [False, True])
async def test_reflector_is_right_when_the_server_answers_again(
    monkeypatch: pytest.MonkeyPatch, server: tuple[str, list[int]], again: bool
) -> None:
    url, statuses = server
    # KubeSpawner's would have given up after nine
    statuses += [503, 500, 429] * 5
    reflector = await read(monkeypatch, url, again=again)
    assert list(reflector.pods) == ["labs/jupyter-alice"]
    assert statuses == []


async def test_reflector_bears_a_no_when_it_was_allowed_before(
    monkeypatch: pytest.MonkeyPatch, server: tuple[str, list[int]]
) -> None:
    """However often: a hub that no longer knew its pods would take Labs for ended."""
    url, statuses = server
    statuses += [403] * 2 * REFUSED_AFTER_AN_ABSENCE
    assert (await read(monkeypatch, url, again=True)).pods
    assert statuses == []


async def test_reflector_says_so_when_it_is_not_allowed_at_first(
    monkeypatch: pytest.MonkeyPatch, server: tuple[str, list[int]]
) -> None:
    url, statuses = server
    statuses += [403] * 100
    with pytest.raises(ApiException, match="403"):
        await read(monkeypatch, url, again=False)


async def test_reflector_is_stopped_without_an_error_when_it_waits_for_the_next_change(
    monkeypatch: pytest.MonkeyPatch, server: tuple[str, list[int]]
) -> None:
    """KubeSpawner awaits the watch that it has cancelled."""
    url, statuses = server
    async with ApiClient(Configuration(host=url)) as client:
        monkeypatch.setattr("kubespawner.reflector.shared_client", lambda _: CoreV1Api(client))
        reflector = LastingPodReflector(namespace="labs", retry_after=0.01)
        await reflector.start()
        statuses += [503] * 1000
        while len(statuses) > 990:  # noqa: ASYNC110  the server tells nobody
            await asyncio.sleep(0.01)
        await reflector.stop()
    assert reflector.watch_task is None


@pytest.mark.parametrize("before", [[], [503] * 3])
async def test_reflector_bears_a_no_at_first_when_the_server_has_just_started(
    monkeypatch: pytest.MonkeyPatch, server: tuple[str, list[int]], before: list[int]
) -> None:
    """A hub that starts meanwhile would take all Labs for ended."""
    url, statuses = server
    statuses += [*before, *[403] * 3]
    assert (await read(monkeypatch, url, again=False)).pods


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (ApiException(status=503), True),
        (ApiException(status=429), True),
        (ApiException(status=403), False),
        (ApiException(status=404), False),
        (aiohttp.ClientConnectionError(), True),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (ValueError(), False),
    ],
)
def test_no_answer_is_told_from_a_no(error: Exception, away: bool) -> None:
    assert is_away(error) is away


def test_user_is_told_why_when_the_cluster_says_no() -> None:
    error = ApiException(status=403, reason="Forbidden")
    error.body = json.dumps(
        {"message": 'pods "jupyter-alice" is forbidden: exceeded quota: gpus'}
    ).encode()
    refusal = no_refusal(error)
    assert refusal.reason == Reason.CLUSTER_REFUSED
    assert "exceeded quota: gpus" in refusal.message
    error.body = b"<html>"
    assert "Forbidden" in no_refusal(error).message


def test_user_is_told_why_when_the_pod_was_lost() -> None:
    evicted = {"status": {"reason": "Evicted", "message": "The node was low on memory."}}
    assert "The node was low on memory" in lost_refusal(evicted).message
    assert "it was deleted" in lost_refusal(None).message
