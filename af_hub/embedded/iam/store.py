"""What the development IAM remembers: accounts, codes, tokens, browser sessions.

Tokens and codes are kept as SHA-256 only: a copy of the database opens nothing.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from af_hub.embedded.iam.people import DEMO_PEOPLE, Person
from af_hub.embedded.iam.records import AccessToken, Code, RefreshToken, fingerprint
from af_hub.embedded.iam.schema import connect

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Store:
    """SQLite behind one lock: few users, many threads, everything in transactions.

    Parameters
    ----------
    path
        Database file, made with mode 0600 if absent and filled with the demo accounts.
    now
        The IAM's clock.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._connection = connect(path)
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
            for table in ("codes", "access_tokens", "refresh_tokens", "sessions", "families"):
                self._connection.execute(
                    f"DELETE FROM {table} WHERE expires_at < ?",  # noqa: S608  fixed names
                    (self._now(),),
                )
            self._insert("codes", _fields(code))

    def code(self, value: str) -> Code | None:
        """Return a code that has not expired."""
        row = self._one(
            "SELECT * FROM codes WHERE hash = ? AND expires_at >= ?",
            fingerprint(value),
            self._now(),
        )
        return None if row is None else Code(**row)

    # --- tokens ---
    def refresh_token(self, value: str) -> RefreshToken | None:
        """Return a refresh token that has not expired."""
        row = self._one(
            "SELECT * FROM refresh_tokens WHERE hash = ? AND expires_at >= ?",
            fingerprint(value),
            self._now(),
        )
        return None if row is None else RefreshToken(**row)

    def access_token(self, jti: str) -> AccessToken | None:
        """Return an access token that is neither expired nor revoked."""
        row = self._one(
            "SELECT * FROM access_tokens WHERE jti = ? AND expires_at >= ?", jti, self._now()
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

    # --- families of refresh tokens: all that came from one login ---
    def join_family(self, token: RefreshToken, parent: str) -> None:
        """Remember that `token` came from `parent`, inside a transaction.

        Parameters
        ----------
        token
            A new refresh token.
        parent
            Hash of the token that it follows; its own one at a login.
        """
        row = self._one("SELECT family FROM families WHERE hash = ?", parent)
        family = row["family"] if row else parent
        self._insert(
            "families", {"hash": token.hash, "family": family, "expires_at": token.expires_at}
        )

    def end_family(self, value: str) -> None:
        """Delete all living tokens of the login that a refresh token, dead or not, came from."""
        with self.transaction():
            self._connection.execute(
                "DELETE FROM refresh_tokens WHERE hash IN (SELECT hash FROM families WHERE "
                "family = (SELECT family FROM families WHERE hash = ?))",
                (fingerprint(value),),
            )

    # --- acceptable use policy ---
    def set_policy(self, text: str | None) -> None:
        """Ask everybody to sign a new policy; None asks nobody any more."""
        with self.transaction():
            self._connection.execute("DELETE FROM policies")
            if text is not None:
                self._insert("policies", {"id": time.time_ns(), "text": text})

    def policy(self) -> str | None:
        """Return the text of the policy, if there is one."""
        row = self._one("SELECT text FROM policies")
        return None if row is None else str(row["text"])

    def unsigned_policy(self, sub: str) -> str | None:
        """Return the text that a user still has to sign, if any."""
        row = self._one(
            "SELECT text FROM policies WHERE id NOT IN "
            "(SELECT policy FROM signatures WHERE sub = ?)",
            sub,
        )
        return None if row is None else str(row["text"])

    def sign_policy(self, sub: str) -> None:
        """Remember that a user signed the policy of now."""
        with self.transaction():
            self._connection.execute(
                "INSERT OR IGNORE INTO signatures SELECT ?, id FROM policies", (sub,)
            )

    # --- browser sessions ---
    def add_session(self, value: str, sub: str, seconds: float) -> None:
        """Remember a browser session."""
        with self.transaction():
            now = self._now()
            row = {"hash": fingerprint(value), "sub": sub, "expires_at": now + seconds}
            self._insert("sessions", row | {"began_at": now})

    def session(self, value: str) -> Person | None:
        """Return whose browser session this is."""
        row = self._one(
            "SELECT people.* FROM people JOIN sessions USING (sub) "
            "WHERE sessions.hash = ? AND sessions.expires_at >= ?",
            fingerprint(value),
            self._now(),
        )
        return None if row is None else _person(row)

    def session_began(self, value: str) -> float | None:
        """Return when somebody logged in, in seconds since the epoch; None if that is not known."""
        row = self._one("SELECT began_at FROM sessions WHERE hash = ?", fingerprint(value))
        return None if row is None else row["began_at"]

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
