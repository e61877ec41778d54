"""The database of the development IAM: its tables, and how an older one gets new columns."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_TABLES: Final = """
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
CREATE TABLE IF NOT EXISTS families (
    hash TEXT PRIMARY KEY, family TEXT NOT NULL, expires_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS family_members ON families (family);
CREATE TABLE IF NOT EXISTS policies (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS signatures (
    sub TEXT NOT NULL, policy INTEGER NOT NULL REFERENCES policies (id) ON DELETE CASCADE,
    PRIMARY KEY (sub, policy));
"""

_LATER: Final = {
    "codes": {"auth_time": "INTEGER"},
    "refresh_tokens": {"auth_time": "INTEGER"},
    "sessions": {"began_at": "REAL"},
}
"""Columns that databases of the first facilities do not have."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, with its tables as they are today.

    Parameters
    ----------
    path
        Database file, made with mode 0600 if absent.
    """
    path.touch(mode=0o600, exist_ok=True)
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.executescript(_TABLES)
    connection.execute("BEGIN IMMEDIATE")  # two processes may open an old one at the same time
    for table, columns in _LATER.items():
        rows = connection.execute(f"PRAGMA table_info({table})").fetchall()
        missing = columns.keys() - {row["name"] for row in rows}
        for name in sorted(missing):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")
    connection.execute("COMMIT")
    return connection
