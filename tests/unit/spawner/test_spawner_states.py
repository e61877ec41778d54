"""States of many starts are written together, and what has ended is not written."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from jupyterhub import orm
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from af_hub.spawner import states
from testbed.kube_spawner import spawner
from testbed.plans import SMALL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Any]:
    """Give a hub's database in a file."""
    session = orm.new_session_factory(f"sqlite:///{tmp_path}/hub.sqlite")()
    yield session
    session.close()
    session.get_bind().dispose()


def servers(db: Any, many: int = 3) -> list[orm.Spawner]:
    """Make servers of different users."""
    rows = [orm.Spawner(name="", user=orm.User(name=f"u{number}")) for number in range(many)]
    db.add_all(rows)
    db.commit()
    return rows


def stored(db: Any) -> Callable[[], list[Any]]:
    """Return what reads all states as another process would."""
    engine = db.get_bind()

    def read() -> list[Any]:
        with engine.connect() as connection:
            found = connection.execute(orm.Spawner.__table__.select().order_by("id"))
            return [row.state for row in found]

    return read


def test_states_are_written_by_one_commit_when_many_are_kept(db: Any) -> None:
    rows, read, commits = servers(db), stored(db), list[object]()
    for row in rows:
        states.keep(row, {"pod_name": row.user.name})
    assert read() == [None] * 3
    event.listen(db, "after_commit", commits.append)
    for row in rows:
        states.write(row)
    assert read() == [{"pod_name": f"u{number}"} for number in range(3)]
    assert len(commits) == 1
    assert [row.state for row in rows] == read()


def test_state_is_the_last_one_that_was_kept(db: Any) -> None:
    row, *_ = servers(db)
    states.keep(row, {"pod_name": "first"})
    states.keep(row, {"pod_name": "last"})
    states.write(row)
    assert stored(db)()[0] == {"pod_name": "last"}


def test_state_of_a_server_that_has_ended_is_not_written(db: Any) -> None:
    ended, other, _ = servers(db)
    for row in (ended, other):
        states.keep(row, {"pod_name": "x"})
    states.forget(ended)
    states.write(ended)
    assert stored(db)() == [None] * 3
    states.write(other)
    assert stored(db)() == [None, {"pod_name": "x"}, None]


def test_state_stays_when_another_request_rolls_back(db: Any) -> None:
    """All requests share a session, and JupyterHub rolls back what one leaves unsaved."""
    row, *_ = servers(db)
    states.keep(row, {"pod_name": "x"})
    db.rollback()
    states.write(row)
    assert stored(db)()[0] == {"pod_name": "x"}


def test_states_are_tried_again_when_the_database_does_not_take_them(
    db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = servers(db)
    for row in rows:
        states.keep(row, {"pod_name": "x"})

    def locked() -> None:
        raise OperationalError("update", {}, Exception("database is locked"))

    with monkeypatch.context() as patch:
        patch.setattr(db, "commit", locked)
        with pytest.raises(OperationalError):
            states.write(rows[0])
    db.rollback()
    states.write(rows[1])
    assert stored(db)() == [{"pod_name": "x"}] * 3


def test_state_of_a_row_that_is_not_saved_yet_goes_with_it(db: Any) -> None:
    row = orm.Spawner(name="", user=orm.User(name="alice"))
    states.keep(row, {"pod_name": "x"})
    db.add(row)
    db.commit()
    assert stored(db)() == [{"pod_name": "x"}]
    new = orm.Spawner(name="b", user=row.user)
    db.add(new)
    states.keep(new, {"pod_name": "y"})
    states.write(new)
    assert stored(db)()[1] == {"pod_name": "y"}


@asynccontextmanager
async def starting(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Make a spawner whose start has been granted."""
    async with spawner(monkeypatch) as made:
        made.record = made._apply(SMALL, frozenset({"/cms"}))
        made.keep_state()
        yield made


async def test_state_is_written_before_the_pod_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hub that is killed then finds the pod again."""
    async with starting(monkeypatch) as made:
        assert stored(made.db)() == [None]
        await made.get_pod_manifest()
        (state,) = stored(made.db)()
        assert state["af"] == made.record.to_state()


async def test_state_is_not_written_when_the_server_has_ended_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it held is free; a restarted hub must not take it for held."""
    async with starting(monkeypatch) as made:
        made.clear_state()
        made.write_state()
        assert stored(made.db)() == [None]
