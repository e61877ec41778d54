"""Runs in Rucio's environment: ``rucio_big.py SETTINGS SCOPE NAME COUNT`` adds a huge dataset.

One file is written as the server writes it, and PostgreSQL makes the others from its rows: 3 s for
100,000 files with two replicas each, in place of 216 s by REST.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from af_rucio.catalogue import bring_up_to_date, write_datasets
from af_rucio.content import Dataset, File, demo_content
from af_rucio.database import open_database, write
from af_rucio.elements import write_rse
from af_rucio.settings import Settings
from rucio.common.types import InternalAccount
from rucio.db.sqla import models
from rucio.db.sqla.constants import AccountStatus, AccountType
from rucio.db.sqla.session import get_session
from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

OWNER = "production"
"""Account of the dataset: the demo's own would have it taken away at the next start."""

FOLDER = "/store/cms/big/NANOAOD/"
NAME = (
    f"'{FOLDER}' || lpad((i / 1000)::text, 4, '0') || '/file_' || lpad(i::text, 6, '0') || '.root'"
)
FIRST = File(f"{FOLDER}0000/file_000000.root", 2_000_000_000, "00000000")


def multiply(session: Session, model: Any, key: str, count: int) -> None:
    """Make the rows of files 1 … count - 1 from those of file 0."""
    changed = {
        key: NAME,
        "path": f"substr({NAME}, 2)",
        "bytes": "t.bytes + i",
        "adler32": "lpad(to_hex(i), 8, '0')",
    }
    table = model.__table__
    columns = [column.name for column in table.columns]
    values = [changed.get(name, f"t.{name}") for name in columns]
    # all parts are written in this file or are names of Rucio's columns
    statement = f"""
        INSERT INTO {table.name} ({", ".join(columns)}) SELECT {", ".join(values)}
        FROM {table.name} t, generate_series(1, {count - 1}) i WHERE t.{key} = '{FIRST.name}'
    """  # noqa: S608
    session.execute(text(statement))


def add_up(session: Session, name: str, container: str, count: int) -> None:
    """Correct the numbers of files and bytes of the collections."""
    size = count * FIRST.bytes + count * (count - 1) // 2
    session.execute(
        text("UPDATE dids SET length = :count, bytes = :size WHERE name IN (:name, :container)"),
        {"count": count, "size": size, "name": name, "container": container},
    )
    session.execute(
        text(
            "UPDATE collection_replicas SET length = :count, bytes = :size, "
            "available_replicas_cnt = :count, available_bytes = :size WHERE name = :name"
        ),
        {"count": count, "size": size, "name": name},
    )


def main() -> None:
    """Make the tables, the demo's content and the huge dataset."""
    path, scope, name, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    settings = Settings.load(path)
    open_database(settings.database)
    container = name.rpartition("/")[0] + "/CONTAINER"
    account = {
        "account": InternalAccount(OWNER),
        "account_type": AccountType.SERVICE,
        "status": AccountStatus.ACTIVE,
        "email": "production@example.org",
    }
    with get_session()() as session, session.begin():
        bring_up_to_date(session, settings, demo_content(settings.store, settings.sums))
        write(session, models.Account, [account])
        rses = [write_rse(session, element) for element in settings.storage]
        write_datasets(session, [Dataset(scope, container, name, (FIRST,))], rses, OWNER)
        # without looking up each file for each foreign key: a third of the time
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for model, key in (
            (models.DataIdentifier, "name"),
            (models.RSEFileAssociation, "name"),
            (models.DataIdentifierAssociation, "child_name"),
        ):
            multiply(session, model, key, count)
        add_up(session, name, container, count)


main()
