"""A start while the API server comes back, as the spawner takes its answers."""

from __future__ import annotations

import pytest
from kubernetes_asyncio.client import ApiException

from af_hub.spawner.kube.follow import REFUSED_AT_MOST
from af_hub.spawner.kube.lasting import LastingKubeSpawner


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
