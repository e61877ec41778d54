"""Making the tables, and writing many rows at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rucio import alembicrevision
from rucio.common.constants import DEFAULT_VO
from rucio.db.sqla import models
from rucio.db.sqla.session import BASE, get_engine
from sqlalchemy import create_engine, event, insert, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine
    from sqlalchemy.orm import Session

INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def open_database(url: str) -> Engine:
    """Return Rucio's engine for a database that has all tables; they are made if need be.

    The database of another version of Rucio is replaced: it holds what can be listed again.
    """
    engine: Engine = get_engine()
    path = _sqlite_file(url)
    if path is None:
        _complete(engine)
    elif not _is_current(path):
        _make_sqlite(path)
        engine.dispose()  # the import of Rucio has opened the file that was replaced
    # tokens are among the values that statements carry; errors show statements, also to clients
    engine.hide_parameters = True
    return engine


def _sqlite_file(url: str) -> Path | None:
    parsed = make_url(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def _is_current(path: Path) -> bool:
    if not path.exists():
        return False
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        current = _revision(connection) == str(alembicrevision.ALEMBIC_REVISION)
    engine.dispose()
    return current


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(models.AlembicVersion.__tablename__):
        return None
    found = connection.execute(select(models.AlembicVersion.version_num)).scalar()
    return str(found) if found else None


def _make_sqlite(path: Path) -> None:
    """Build the file beside its place and rename it: 0.2 s without waiting for the disk."""
    temporary = path.with_name(f".{path.name}.new")
    for name in ("", "-journal", "-wal", "-shm"):
        temporary.with_name(temporary.name + name).unlink(missing_ok=True)
    os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))
    engine = create_engine(f"sqlite:///{temporary}")

    @event.listens_for(engine, "connect")
    def fast(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    _complete(engine)
    with engine.connect() as connection:
        # kept in the file: readers and a writer do not wait for one another
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    engine.dispose()
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    temporary.replace(path)


def _complete(engine: Engine) -> None:
    """Make all tables, Rucio's base VO and the mark of the schema's version, unless they exist."""
    with engine.begin() as connection:
        if _revision(connection):
            return
        BASE.metadata.create_all(connection)
        connection.execute(
            insert(models.VO), [{"vo": DEFAULT_VO, "description": "Base VO", "email": "N/A"}]
        )
        connection.execute(
            insert(models.AlembicVersion), [{"version_num": alembicrevision.ALEMBIC_REVISION}]
        )


def write(
    session: Session, model: Any, rows: Sequence[dict[str, Any]], *, renew: Sequence[str] = ()
) -> None:
    """Insert rows; of those that exist by their primary key, renew some columns.

    Parameters
    ----------
    session
        Its transaction goes on.
    model
        The table's model.
    rows
        All with the same keys.
    renew
        Columns that are overwritten in existing rows.
    """
    if not rows:
        return
    table = model.__table__
    statement = INSERTS[session.get_bind().dialect.name](table)
    if renew:
        statement = statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={name: statement.excluded[name] for name in renew},
        )
    else:
        statement = statement.on_conflict_do_nothing()
    session.connection().execute(statement, list(rows))
