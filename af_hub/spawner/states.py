"""Servers' states on their way into the hub's database; those of many starts go together.

Past SQLAlchemy's unit of work, which looks at all relations of a row: that would cost a start more than
the decision about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jupyterhub import orm
from sqlalchemy import bindparam
from sqlalchemy.orm import object_session
from sqlalchemy.orm.attributes import set_committed_value

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_UNWRITTEN: Final = "af_unwritten_states"

_TABLE: Final = orm.Spawner.__table__
_WRITE: Final = (
    _TABLE.update().where(_TABLE.c.id == bindparam("row")).values(state=bindparam("written"))
)


def keep(row: Any, state: dict[str, Any]) -> None:
    """Keep a state until the next `write`, in place of an earlier one.

    Parameters
    ----------
    row
        The server's row, a `jupyterhub.orm.Spawner`.
    state
        What a restarted hub needs to find the server again.
    """
    session = _session(row)
    if session is None:
        if row is not None:
            row.state = state
        return
    if row.id is None:
        # others have not written it yet
        session.flush()
    _kept(session)[row.id] = row, state


def forget(row: Any) -> None:
    """Write nothing of a server that has ended."""
    session = _session(row)
    if session is not None:
        _kept(session).pop(row.id, None)


def write(row: Any) -> None:
    """Write a state that is kept, and those of all others with it.

    Parameters
    ----------
    row
        The server's row; nothing happens if its state is written.

    Raises
    ------
    sqlalchemy.exc.SQLAlchemyError
        If the database does not take them; they stay kept.
    """
    session = _session(row)
    if session is None or row.id not in _kept(session):
        return
    # what others have not written yet
    session.flush()
    kept = _kept(session)
    session.execute(_WRITE, [{"row": key, "written": state} for key, (_, state) in kept.items()])
    session.commit()
    for one, state in kept.values():
        set_committed_value(one, "state", state)
    kept.clear()


def _session(row: Any) -> Session | None:
    return None if row is None else object_session(row)


def _kept(session: Session) -> dict[int, tuple[Any, dict[str, Any]]]:
    """Return what is kept, by the row's key; a hub has one session."""
    kept: dict[int, tuple[Any, dict[str, Any]]] = session.info.setdefault(_UNWRITTEN, {})
    return kept
