"""Accounts: who may use Rucio, and as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rucio.common.types import InternalAccount
from rucio.core.oidc import oidc_identity_string
from rucio.db.sqla import models
from rucio.db.sqla.constants import AccountStatus, AccountType, IdentityType
from sqlalchemy import delete

from .database import write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

    from .settings import Person

OWNER = "root"
"""The account that owns the demo's data; nobody has an identity for it, so nobody can use it."""


def write_people(session: Session, people: Iterable[Person], issuer: str) -> None:
    """Write accounts and who may use them: the `issuer`'s tokens only, no password, no key.

    Identities of an earlier issuer (its port has moved) are taken away.
    """
    people = list(people)
    accounts = [(OWNER, AccountType.SERVICE, "root@example.org")]
    accounts += [(person.account, AccountType.USER, person.email) for person in people]
    write(
        session,
        models.Account,
        [
            {
                "account": InternalAccount(name),
                "account_type": kind,
                "status": AccountStatus.ACTIVE,
                "email": email,
            }
            for name, kind, email in accounts
        ],
    )
    write(
        session,
        models.AccountAttrAssociation,
        [
            {"account": InternalAccount(person.account), "key": "admin", "value": True}
            for person in people
            if person.admin
        ],
    )
    identities = {oidc_identity_string(person.sub, issuer): person for person in people}
    for model in (models.IdentityAccountAssociation, models.Identity):
        session.execute(
            delete(model).where(
                model.identity_type == IdentityType.OIDC, model.identity.not_in(identities)
            )
        )
    write(
        session,
        models.Identity,
        [
            {"identity": identity, "identity_type": IdentityType.OIDC, "email": person.email}
            for identity, person in identities.items()
        ],
        renew=("email",),
    )
    write(
        session,
        models.IdentityAccountAssociation,
        [
            {
                "identity": identity,
                "identity_type": IdentityType.OIDC,
                "account": InternalAccount(person.account),
                "is_default": True,
            }
            for identity, person in identities.items()
        ],
    )
