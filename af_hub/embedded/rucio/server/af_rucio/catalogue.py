"""Bringing accounts, RSEs and data in Rucio's database up to date, in one transaction.

Rucio's own functions write one row at a time and expect the row not to be there. Here everything
is written as "insert, or renew what differs", so every start of the server may do it again: ports
move, files come and go. What users have made (rules, metadata, their own scopes) is left alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rucio.common.types import InternalAccount, InternalScope
from rucio.db.sqla import models
from rucio.db.sqla.constants import DIDAvailability, DIDType, ReplicaState, ScopeStatus
from sqlalchemy import delete, select

from .accounts import OWNER, write_people
from .database import write
from .elements import write_rse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from .content import Dataset, File
    from .settings import Settings


def bring_up_to_date(session: Session, settings: Settings, datasets: Sequence[Dataset]) -> None:
    """Write accounts, RSEs and data; the caller commits.

    Parameters
    ----------
    session
        Of Rucio's database.
    settings
        People and RSEs.
    datasets
        What is to be in the catalogue.
    """
    write_people(session, settings.people, settings.issuer)
    rses = [write_rse(session, element) for element in settings.storage]
    write_datasets(session, datasets, rses)
    forget_vanished(session, datasets, rses)
    # tokens of earlier runs are of no use to anybody any more
    session.execute(delete(models.Token).where(models.Token.expired_at < _now()))


def _now() -> datetime:
    # Rucio keeps times without zone, in UTC
    return datetime.now(UTC).replace(tzinfo=None)


def write_datasets(
    session: Session, datasets: Sequence[Dataset], rses: Sequence[str], owner: str = OWNER
) -> None:
    """Write scopes, containers, datasets, files and a replica of each file at each RSE.

    Parameters
    ----------
    session
        Its transaction goes on.
    datasets
        What to write.
    rses
        Ids of the RSEs that hold all files.
    owner
        Account that they belong to.
    """
    account = InternalAccount(owner)
    scopes = sorted({dataset.scope for dataset in datasets})
    write(
        session,
        models.Scope,
        [
            {
                "scope": InternalScope(scope),
                "account": account,
                "is_default": False,
                "status": ScopeStatus.OPEN,
            }
            for scope in scopes
        ],
    )
    collections = _collections(datasets, account)
    write(session, models.DataIdentifier, collections, renew=("bytes", "length"))
    for dataset in datasets:
        _write_files(session, dataset, rses, account)
    write(session, models.DataIdentifierAssociation, _memberships(datasets))
    write(
        session,
        models.CollectionReplica,
        [_collection_replica(dataset, rse) for dataset in datasets for rse in rses],
        renew=("bytes", "length", "available_bytes", "available_replicas_cnt"),
    )


def _collections(datasets: Sequence[Dataset], account: InternalAccount) -> list[dict[str, Any]]:
    """Return the rows of datasets and containers, closed, with their sizes summed up."""
    totals: dict[tuple[str, str, DIDType], list[int]] = {}
    for dataset in datasets:
        size = sum(file.bytes for file in dataset.files)
        for name, kind in ((dataset.name, DIDType.DATASET), (dataset.container, DIDType.CONTAINER)):
            total = totals.setdefault((dataset.scope, name, kind), [0, 0])
            total[0] += size
            total[1] += len(dataset.files)
    return [
        _did(scope, name, kind, account) | {"bytes": size, "length": length, "is_open": False}
        for (scope, name, kind), (size, length) in totals.items()
    ]


def _did(scope: str, name: str, kind: DIDType, account: InternalAccount) -> dict[str, Any]:
    return {
        "scope": InternalScope(scope),
        "name": name,
        "account": account,
        "did_type": kind,
        "availability": DIDAvailability.AVAILABLE,
        "is_new": None,
        "purge_replicas": False,
    }


def _write_files(
    session: Session, dataset: Dataset, rses: Sequence[str], account: InternalAccount
) -> None:
    scope = InternalScope(dataset.scope)
    write(
        session,
        models.DataIdentifier,
        [
            _did(dataset.scope, file.name, DIDType.FILE, account)
            | {"bytes": file.bytes, "adler32": file.adler32, "is_open": None}
            for file in dataset.files
        ],
        renew=("bytes", "adler32"),
    )
    write(
        session,
        models.RSEFileAssociation,
        [_replica(scope, file, rse) for rse in rses for file in dataset.files],
        renew=("bytes", "adler32", "path", "state"),
    )
    write(
        session,
        models.DataIdentifierAssociation,
        [
            {
                "scope": scope,
                "name": dataset.name,
                "child_scope": scope,
                "child_name": file.name,
                "did_type": DIDType.DATASET,
                "child_type": DIDType.FILE,
                "bytes": file.bytes,
                "adler32": file.adler32,
            }
            for file in dataset.files
        ],
        renew=("bytes", "adler32"),
    )


def _replica(scope: InternalScope, file: File, rse: str) -> dict[str, Any]:
    return {
        "rse_id": rse,
        "scope": scope,
        "name": file.name,
        "bytes": file.bytes,
        "adler32": file.adler32,
        # the RSE's prefix ends with a slash already
        "path": file.name.removeprefix("/"),
        "state": ReplicaState.AVAILABLE,
    }


def _memberships(datasets: Sequence[Dataset]) -> list[dict[str, Any]]:
    return [
        {
            "scope": InternalScope(dataset.scope),
            "name": dataset.container,
            "child_scope": InternalScope(dataset.scope),
            "child_name": dataset.name,
            "did_type": DIDType.CONTAINER,
            "child_type": DIDType.DATASET,
        }
        for dataset in datasets
    ]


def _collection_replica(dataset: Dataset, rse: str) -> dict[str, Any]:
    size = sum(file.bytes for file in dataset.files)
    return {
        "scope": InternalScope(dataset.scope),
        "name": dataset.name,
        "did_type": DIDType.DATASET,
        "rse_id": rse,
        "bytes": size,
        "length": len(dataset.files),
        "available_bytes": size,
        "available_replicas_cnt": len(dataset.files),
        "state": ReplicaState.AVAILABLE,
    }


def forget_vanished(session: Session, datasets: Sequence[Dataset], rses: Sequence[str]) -> None:
    """Take away replicas and memberships of the demo's files that are no longer in the store.

    The names stay: rules or metadata of users may hang on them.
    """
    owner = InternalAccount(OWNER)
    present = {(dataset.scope, file.name) for dataset in datasets for file in dataset.files}
    replicas, did = models.RSEFileAssociation, models.DataIdentifier
    listed = session.execute(
        select(replicas.scope, replicas.name)
        .join(did, (did.scope == replicas.scope) & (did.name == replicas.name))
        .where(replicas.rse_id.in_(rses), did.account == owner)
        .distinct()
    ).all()
    contents = models.DataIdentifierAssociation
    for scope, name in listed:
        if (scope.external, name) in present:
            continue
        session.execute(delete(replicas).where(replicas.scope == scope, replicas.name == name))
        session.execute(
            delete(contents).where(contents.child_scope == scope, contents.child_name == name)
        )
