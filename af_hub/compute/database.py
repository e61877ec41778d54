"""Gateway's SQLite database, made fit for many small writes in the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy
from dask_gateway_server.backends import db_base

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dask_gateway_server.backends.db_base import Worker
    from sqlalchemy.engine import Engine


def write_ahead(engine: Engine) -> None:
    """Let a commit not wait for the disk.

    Gateway writes in its event loop, and by SQLite's defaults each commit waits for the disk: 24 ms
    beside other work (measured), in which nobody gets an answer. With a write-ahead log what was
    committed survives every kill of the gateway. A power failure may cost the last moments, and
    ends the clusters of those moments as well; the reconciler mends the rest.
    """
    if engine.dialect.name != "sqlite":
        return

    @sqlalchemy.event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")

    # those that are open already have the defaults
    engine.dispose()


def forget_workers(engine: Engine, workers: Sequence[Worker]) -> None:
    """Delete workers from the database and from Gateway's memory."""
    if not workers:
        return
    table = db_base.workers
    with engine.begin() as connection:
        connection.execute(
            table.delete().where(table.c.id == sqlalchemy.bindparam("_id")),
            [{"_id": worker.id} for worker in workers],
        )
    for worker in workers:
        worker.cluster.workers.pop(worker.name, None)
