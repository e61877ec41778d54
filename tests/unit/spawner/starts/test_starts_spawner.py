"""Between any two pieces of what JupyterHub does before a start, the hub answers others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from jupyterhub import orm, roles
from jupyterhub.oauth.provider import make_provider
from jupyterhub.objects import Hub
from jupyterhub.spawner import Spawner
from jupyterhub.user import User
from sqlalchemy import event

from af_hub.spawner.starts.spawner import PacedSpawner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY = 20


class Plain(Spawner):  # type: ignore[misc]  # untyped upstream
    """JupyterHub's, and the start lasts."""

    begun = 0

    async def start(self) -> None:
        """Begin to start."""
        Plain.begun += 1
        await asyncio.Event().wait()

    async def poll(self) -> int | None:
        """Run."""
        return None

    async def stop(self, now: bool = False) -> None:
        """End."""


class Paced(PacedSpawner, Plain):
    """Ours."""


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Any]:
    """Give a hub's database in a file, as a hub has it when it has started."""
    factory = orm.new_session_factory(f"sqlite:///{tmp_path}/hub.sqlite")
    session = factory()
    for role in roles.get_default_roles():
        roles.create_role(session, role)
    session.add(orm.OAuthClient(identifier="jupyterhub"))
    session.commit()
    session.info["provider"] = make_provider(lambda: session, url_prefix="/", login_url="/")
    yield session
    session.close()


async def most_commits_of_a_round(db: Any, spawner_class: type[Any]) -> int:
    """Let many start at once while other requests end; return how often one round wrote."""
    settings = {
        "base_url": "/",
        "hub": Hub(ip="hub"),
        "spawner_class": spawner_class,
        "oauth_provider": db.info["provider"],
    }
    people = [orm.User(name=f"u{number}") for number in range(MANY)]
    db.add_all(people)
    db.commit()
    for person in people:
        roles.assign_default_roles(db, person)
    commits, most = 0, 0

    def count(_session: Any) -> None:
        nonlocal commits
        commits += 1

    event.listen(db, "after_commit", count)
    Plain.begun = 0
    starts = [asyncio.create_task(User(person, settings, db).spawn()) for person in people]
    try:
        while Plain.begun < MANY:
            assert not any(start.done() for start in starts), await asyncio.gather(*starts)
            before = commits
            await asyncio.sleep(0)
            most = max(most, commits - before)
            # what JupyterHub does at the end of every request
            if db.dirty or db.new:
                db.rollback()
    finally:
        for start in starts:
            start.cancel()
        await asyncio.gather(*starts, return_exceptions=True)
    rows = db.query(orm.Spawner).all()
    assert len(rows) == MANY
    assert [row.user.name for row in rows if not row.server] == []
    assert [row.user.name for row in rows if not row.oauth_client] == []
    return most


async def test_no_round_does_all_the_work_of_many_starts_when_they_begin_at_once(db: Any) -> None:
    """Three commits of each come first; then a piece of one start at a time. Nothing is lost."""
    assert await most_commits_of_a_round(db, Paced) <= 4 * MANY


async def test_jupyterhub_alone_does_it_in_one_round(db: Any) -> None:
    """Or the spawner could be simpler."""
    assert await most_commits_of_a_round(db, Plain) >= 6 * MANY


async def test_nothing_unsaved_is_lost_while_a_start_waits_for_its_turn(db: Any) -> None:
    """All requests share a session; one that ends meanwhile rolls back."""
    row = orm.Spawner(name="", user=orm.User(name="alice"))
    db.add(row)
    db.commit()
    row.state = {"pod_name": "jupyter-alice"}
    turn = asyncio.create_task(Paced(orm_spawner=row).take_turn())
    await asyncio.sleep(0)
    db.rollback()
    await turn
    assert row.state == {"pod_name": "jupyter-alice"}
