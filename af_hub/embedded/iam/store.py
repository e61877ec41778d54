"""What the development IAM remembers: accounts, codes, tokens, browser sessions.

Tokens and codes are kept as SHA-256 only: a copy of the database opens nothing.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from af_hub.embedded.iam.people import DEMO_PEOPLE, Person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS people (
    sub TEXT PRIMARY KEY, username TEXT UNIQUE NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL,
    groups TEXT NOT NULL, active INTEGER NOT NULL, about TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS codes (
    hash TEXT PRIMARY KEY, client_id TEXT NOT NULL, sub TEXT NOT NULL, redirect_uri TEXT NOT NULL,
    scope TEXT NOT NULL, audience TEXT NOT NULL, nonce TEXT, challenge TEXT, method TEXT,
    expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS refresh_tokens (
    hash TEXT PRIMARY KEY, client_id TEXT NOT NULL, sub TEXT NOT NULL, scope TEXT NOT NULL,
    audience TEXT NOT NULL, nonce TEXT, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS access_tokens (
    jti TEXT PRIMARY KEY, client_id TEXT NOT NULL, sub TEXT NOT NULL, scope TEXT NOT NULL,
    refresh TEXT REFERENCES refresh_tokens (hash) ON DELETE CASCADE, expires_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS access_by_refresh ON access_tokens (refresh);
CREATE TABLE IF NOT EXISTS sessions (
    hash TEXT PRIMARY KEY, sub TEXT NOT NULL, expires_at REAL NOT NULL);
"""


def fingerprint(secret: str) -> str:
    """Return what is stored instead of a code, token or session id."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code, with the accessors that Authlib calls."""

    hash: str
    client_id: str
    sub: str
    redirect_uri: str
    scope: str
    audience: str
    nonce: str | None
    challenge: str | None
    method: str | None
    expires_at: float

    @property
    def code_challenge(self) -> str | None:
        """PKCE challenge (RFC 7636)."""
        return self.challenge

    @property
    def code_challenge_method(self) -> str | None:
        """PKCE method, ``plain`` or ``S256``."""
        return self.method

    def get_redirect_uri(self) -> str:
        """Return the redirect URI of the authorization request."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Return the granted scope."""
        return self.scope


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token, with the accessors that Authlib calls."""

    hash: str
    client_id: str
    sub: str
    scope: str
    audience: str
    nonce: str | None
    expires_at: float

    def check_client(self, client: Any) -> bool:
        """Tell whether the token was given to `client`."""
        return bool(client.get_client_id() == self.client_id)

    def get_scope(self) -> str:
        """Return the granted scope."""
        return self.scope


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token that has not been revoked."""

    jti: str
    client_id: str
    sub: str
    scope: str
    refresh: str | None
    expires_at: float


class Store:
    """SQLite behind one lock: few users, many threads, everything in transactions.

    Parameters
    ----------
    path
        Database file, made with mode 0600 if absent and filled with the demo accounts.
    """

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            path, check_same_thread=False, isolation_level=None, timeout=10
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(_SCHEMA)
        with self.transaction():
            for person in DEMO_PEOPLE:
                self._insert("people", _row(person), keep=True)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the lock and commit at the end, or roll back on any exception. Not re-entrant."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    # --- accounts ---
    def people(self) -> list[Person]:
        """Return all accounts in the order they were made."""
        with self._lock:
            rows = self._connection.execute("SELECT * FROM people ORDER BY rowid").fetchall()
        return [_person(row) for row in rows]

    def person(self, *, sub: str = "", username: str = "") -> Person | None:
        """Return an account by subject or by user name."""
        row = self._one("SELECT * FROM people WHERE sub = ? OR username = ?", sub, username)
        return None if row is None else _person(row)

    def save_person(self, person: Person) -> None:
        """Add an account or change it (groups, ``active``)."""
        with self.transaction():
            self._insert("people", _row(person))

    # --- codes ---
    def add_code(self, code: Code) -> None:
        """Remember a code, and forget what has expired."""
        with self.transaction():
            for table in ("codes", "access_tokens", "refresh_tokens", "sessions"):
                self._connection.execute(
                    f"DELETE FROM {table} WHERE expires_at < ?",  # noqa: S608  fixed names
                    (time.time(),),
                )
            self._insert("codes", _fields(code))

    def code(self, value: str) -> Code | None:
        """Return a code that has not expired."""
        row = self._one(
            "SELECT * FROM codes WHERE hash = ? AND expires_at >= ?",
            fingerprint(value),
            time.time(),
        )
        return None if row is None else Code(**row)

    # --- tokens ---
    def refresh_token(self, value: str) -> RefreshToken | None:
        """Return a refresh token that has not expired."""
        row = self._one(
            "SELECT * FROM refresh_tokens WHERE hash = ? AND expires_at >= ?",
            fingerprint(value),
            time.time(),
        )
        return None if row is None else RefreshToken(**row)

    def access_token(self, jti: str) -> AccessToken | None:
        """Return an access token that is neither expired nor revoked."""
        row = self._one(
            "SELECT * FROM access_tokens WHERE jti = ? AND expires_at >= ?", jti, time.time()
        )
        return None if row is None else AccessToken(**row)

    def take(self, table: str, value_hash: str) -> bool:
        """Delete a code or refresh token inside a transaction; False if someone was faster.

        Deleting a refresh token deletes the access tokens that came from it, as IAM's
        migration V96 does.
        """
        column = {"codes": "hash", "refresh_tokens": "hash", "access_tokens": "jti"}[table]
        done = self._connection.execute(
            f"DELETE FROM {table} WHERE {column} = ?",  # noqa: S608  names from the table above
            (value_hash,),
        )
        return done.rowcount == 1

    def clear_access_tokens(self, refresh_hash: str) -> None:
        """Delete the access tokens of a refresh token, inside a transaction."""
        self._connection.execute("DELETE FROM access_tokens WHERE refresh = ?", (refresh_hash,))

    def add_token(self, token: RefreshToken | AccessToken) -> None:
        """Remember a token, inside a transaction."""
        table = "refresh_tokens" if isinstance(token, RefreshToken) else "access_tokens"
        self._insert(table, _fields(token))

    # --- browser sessions ---
    def add_session(self, value: str, sub: str, seconds: float) -> None:
        """Remember a browser session."""
        with self.transaction():
            self._insert(
                "sessions",
                {"hash": fingerprint(value), "sub": sub, "expires_at": time.time() + seconds},
            )

    def session(self, value: str) -> Person | None:
        """Return whose browser session this is."""
        row = self._one(
            "SELECT people.* FROM people JOIN sessions USING (sub) "
            "WHERE sessions.hash = ? AND sessions.expires_at >= ?",
            fingerprint(value),
            time.time(),
        )
        return None if row is None else _person(row)

    def end_session(self, value: str) -> None:
        """Forget a browser session."""
        with self.transaction():
            self._connection.execute("DELETE FROM sessions WHERE hash = ?", (fingerprint(value),))

    # --- helpers ---
    def _one(self, query: str, *values: object) -> sqlite3.Row | None:
        with self._lock:
            row: sqlite3.Row | None = self._connection.execute(query, values).fetchone()
        return row

    def _insert(self, table: str, row: dict[str, Any], *, keep: bool = False) -> None:
        verb = "INSERT OR IGNORE" if keep else "INSERT OR REPLACE"
        marks = ", ".join("?" * len(row))
        self._connection.execute(
            f"{verb} INTO {table} ({', '.join(row)}) VALUES ({marks})",
            tuple(row.values()),
        )


def _fields(record: Code | RefreshToken | AccessToken) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _row(person: Person) -> dict[str, Any]:
    return {
        "sub": person.sub,
        "username": person.username,
        "name": person.name,
        "email": person.email,
        "groups": json.dumps(sorted(person.groups)),
        "active": int(person.active),
        "about": person.about,
    }


def _person(row: sqlite3.Row) -> Person:
    values = dict(row)
    values["groups"] = frozenset(json.loads(values["groups"]))
    values["active"] = bool(values["active"])
    return Person(**values)
