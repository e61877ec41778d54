"""What the server is told; both sides read this module, so it imports the standard library only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Person:
    """A Rucio account and who may use it.

    Parameters
    ----------
    account
        Name of the account.
    sub
        The person's ``sub`` at the issuer.
    email
        Mail address; Rucio wants one for each identity.
    admin
        Whether the account may do everything.
    """

    account: str
    sub: str
    email: str
    admin: bool = False


@dataclass(frozen=True, slots=True)
class StorageElement:
    """An RSE: one door to the files of the store.

    Parameters
    ----------
    name
        Name of the RSE.
    scheme
        ``root`` or ``davs``.
    host
        Host in the addresses of replicas.
    port
        Port in them.
    priority
        Order among the RSEs, 1 = first.
    """

    name: str
    scheme: str
    host: str
    port: int
    priority: int = 1

    @property
    def prefix(self) -> str:
        """What stands between port and path: ``root://host:port//store/…`` has two slashes."""
        return "//" if self.scheme == "root" else "/"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything about one server; holds no secret.

    Parameters
    ----------
    port
        TCP port on loopback.
    database
        URL for SQLAlchemy: SQLite or PostgreSQL.
    issuer
        Issuer, byte for byte as it stands in access tokens.
    people
        Who has an account.
    storage
        The RSEs; each of them holds every file.
    store
        Folder that the RSEs show as ``/store``.
    filled
        File that says that `store` is complete; the server waits for it. None: do not wait.
    sums
        File in which checksums are kept from one start to the next.
    """

    port: int
    database: str
    issuer: str
    people: tuple[Person, ...]
    storage: tuple[StorageElement, ...]
    store: Path
    filled: Path | None
    sums: Path

    def dump(self) -> str:
        """Return the settings as JSON."""
        return json.dumps(asdict(self), indent=1, default=str) + "\n"

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Read what `dump` has written.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is something else.
        """
        raw = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            port=raw["port"],
            database=raw["database"],
            issuer=raw["issuer"],
            people=tuple(Person(**each) for each in raw["people"]),
            storage=tuple(StorageElement(**each) for each in raw["storage"]),
            store=Path(raw["store"]),
            filled=Path(raw["filled"]) if raw["filled"] else None,
            sums=Path(raw["sums"]),
        )
