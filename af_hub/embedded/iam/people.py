"""The accounts of the development IAM."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

DEMO_PASSWORD = "demo"  # noqa: S105  public on purpose, shown on the login page

_NAMESPACE = uuid.UUID("6f1a0c3e-52b0-4a3e-9a52-5d3b0a4d6c11")


@dataclass(frozen=True, slots=True)
class Person:
    """An account.

    Parameters
    ----------
    sub
        Stable identifier, a UUID as IAM's.
    username
        Name to log in with.
    name
        Full name.
    email
        Mail address.
    groups
        Full paths without a leading slash, as IAM stores them: ``cms/uscms``. Membership of a
        child includes the parent, because IAM adds both.
    active
        A disabled account neither logs in nor refreshes.
    about
        One line for the login page.
    """

    sub: str
    username: str
    name: str
    email: str
    groups: frozenset[str]
    active: bool = True
    about: str = ""


def _person(username: str, name: str, groups: frozenset[str], about: str) -> Person:
    return Person(
        sub=str(uuid.uuid5(_NAMESPACE, username)),
        username=username,
        name=name,
        email=f"{username}@example.org",
        groups=groups,
        about=about,
    )


DEMO_PEOPLE = (
    _person("alice", "Alice Muon", frozenset({"cms", "cms/uscms"}), "CMS, US group"),
    _person("bob", "Bob Boson", frozenset({"cms"}), "CMS"),
    _person("dora", "Dora Drell", frozenset({"cms", "cms/af-admins"}), "CMS, facility admin"),
    _person("carol", "Carol Quark", frozenset({"atlas"}), "ATLAS"),
    _person("eve", "Eve Outsider", frozenset(), "in no group: is refused"),
)
"""Who exists at the first start; all have the password `DEMO_PASSWORD`."""
