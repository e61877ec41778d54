"""What Rucio reads: its configuration file and the file about the issuer."""

from __future__ import annotations

import configparser
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from af_hub.embedded.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from af_hub.embedded.rucio.server.af_rucio.settings import Settings

ISSUER = "af"
"""Rucio's own name for the issuer."""

NO_CLIENT = "none"
"""Rucio wants a client id for each issuer. It checks tokens with the issuer's public keys and
needs no client for that; it could not even ask about a token, for want of a secret."""

WAIT = 30
"""Seconds that a writer of the SQLite database waits for another one."""


@dataclass(frozen=True, slots=True)
class RucioHome:
    """The files of one Rucio server.

    Parameters
    ----------
    folder
        Where they lie, closed to other users.
    """

    folder: Path

    @property
    def config(self) -> Path:
        """``rucio.cfg``, for the variable ``RUCIO_CONFIG``."""
        return self.folder / "rucio.cfg"

    @property
    def issuers(self) -> Path:
        """``idpsecrets.json``, which holds no secret here."""
        return self.folder / "idpsecrets.json"

    @property
    def settings(self) -> Path:
        """What ``af_rucio`` is told."""
        return self.folder / "settings.json"

    @property
    def database(self) -> Path:
        """The database, if it is SQLite."""
        return self.folder / "rucio.sqlite"

    @property
    def database_url(self) -> str:
        """`database` for SQLAlchemy, relative to the working folder of the process.

        That is the parent of `folder`. A URL could not hold a folder whose name has a ``?``.
        """
        return f"sqlite:///{self.folder.name}/{self.database.name}?timeout={WAIT}"

    @property
    def sums(self) -> Path:
        """Checksums of the files in the store."""
        return self.folder / "checksums.json"

    def write(self, settings: Settings, *, audience: str, memcached: str | None = None) -> None:
        """Write all files.

        Parameters
        ----------
        settings
            For ``af_rucio``.
        audience
            Audience that tokens must have.
        memcached
            ``host:port``; None for no cache.
        """
        write_atomically(self.settings, settings.dump())
        write_atomically(self.issuers, json.dumps(_issuers(settings.issuer), indent=1) + "\n")
        sections = {
            "common": {"loglevel": "ERROR"},
            "database": {"default": settings.database},
            "policy": {"permission": "generic", "schema": "generic"},
            # by default Rucio takes any memcached of this machine, whoever else writes into it;
            # a socket that nobody can make means none
            "cache": {"url": memcached or str(self.folder / "no-memcached")},
            "oidc": {
                "idpsecrets": str(self.issuers),
                "admin_issuer": ISSUER,
                "expected_audience": audience,
                "expected_scope": "openid profile",
            },
        }
        parser = configparser.RawConfigParser()
        # Rucio's parser interpolates: a percent sign is written twice
        for section, options in sections.items():
            parser[section] = {name: value.replace("%", "%%") for name, value in options.items()}
        text = io.StringIO()
        parser.write(text)
        write_atomically(self.config, text.getvalue())


def _issuers(issuer: str) -> dict[str, object]:
    client = {"client_id": NO_CLIENT, "redirect_uris": []}
    return {ISSUER: {"issuer": issuer, **client, "SCIM": client}}
