"""Spawners for pods that talk to no cluster."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.user import User
from kubernetes_asyncio.client import ApiClient

from af_hub.spawner.kube.spawner import KubeSpawner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from af_hub.spawner.policy.plan import Plan


@asynccontextmanager
async def spawner(
    monkeypatch: pytest.MonkeyPatch,
    name: str = "alice",
    server: str = "",
    *,
    kind: type[Any] = KubeSpawner,
    **traits: Any,
) -> AsyncIterator[Any]:
    """Make a spawner that talks to no cluster."""
    db = orm.new_session_factory("sqlite:///:memory:")()
    user = orm.User(name=name)
    row = orm.Spawner(name=server, user=user)
    db.add_all([user, row])
    db.commit()
    yield _made(monkeypatch, kind, row, db=db, **traits)
    db.close()
    db.get_bind().dispose()


def bare(monkeypatch: pytest.MonkeyPatch, name: str, **traits: Any) -> Any:
    """Make a spawner that has no database either, in half a millisecond."""
    return _made(monkeypatch, KubeSpawner, orm.Spawner(name="", user=orm.User(name=name)), **traits)


def _made(monkeypatch: pytest.MonkeyPatch, kind: type[Any], row: orm.Spawner, **traits: Any) -> Any:
    monkeypatch.setattr("kubespawner.spawner.load_config", lambda **_: None)
    monkeypatch.setattr("kubespawner.spawner.shared_client", lambda _: None)
    traits = {"namespace": "labs", "image": "af/lab:1", "storage_pvc_ensure": True, **traits}
    user = User(row.user, {"base_url": "/"})
    return kind(user=user, hub=Hub(ip="hub"), orm_spawner=row, **traits)


async def written(made: Any) -> dict[str, Any]:
    """Write the manifest of a spawner's pod, as it goes over the wire."""
    async with ApiClient() as client:
        found: dict[str, Any] = client.sanitize_for_serialization(await made.get_pod_manifest())
        return found


async def manifest(
    monkeypatch: pytest.MonkeyPatch,
    plan: Plan,
    groups: frozenset[str] = frozenset({"/cms"}),
    **traits: Any,
) -> dict[str, Any]:
    """Make the manifest of a pod for a plan."""
    async with spawner(monkeypatch, **traits) as made:
        made.record = made._apply(plan, groups)
        await made.load_user_options()
        return await written(made)
