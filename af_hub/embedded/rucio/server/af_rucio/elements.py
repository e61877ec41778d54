"""RSEs: where replicas are, and how their addresses are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rucio.common.exception import RSENotFound
from rucio.core.rse import add_protocol, add_rse, get_rse_id
from rucio.db.sqla import models
from sqlalchemy import delete

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from .settings import StorageElement

IMPLEMENTATIONS = {
    "root": "rucio.rse.protocols.xrootd.Default",
    "davs": "rucio.rse.protocols.gfal.Default",
}
"""Which of Rucio's classes writes the addresses of a scheme."""


def write_rse(session: Session, element: StorageElement) -> str:
    """Write an RSE with its one protocol and return its id.

    It is not deterministic: each replica has its path of its own, because Rucio's algorithms from
    name to path all put the scope or a hash into it. Paths hold no port, so ports may move.
    """
    try:
        rse_id = get_rse_id(element.name, session=session)
    except RSENotFound:
        rse_id = add_rse(element.name, deterministic=False, session=session)
    session.execute(delete(models.RSEProtocol).where(models.RSEProtocol.rse_id == rse_id))
    session.flush()
    # read only: nobody can upload here
    access = {"read": element.priority, "write": 0, "delete": 0}
    wan = access | {"third_party_copy_read": 0, "third_party_copy_write": 0}
    add_protocol(
        rse_id,
        {
            "scheme": element.scheme,
            "hostname": element.host,
            "port": element.port,
            "prefix": element.prefix,
            "impl": IMPLEMENTATIONS[element.scheme],
            "domains": {"lan": access, "wan": wan},
            "extended_attributes": None,
        },
        session=session,
    )
    session.flush()
    return str(rse_id)
