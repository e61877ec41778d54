"""What Rucio's answers and the browser's questions mean. Pure.

A data identifier (DID) is a scope and a name. Names are text, not paths: CMS names begin with ``/``,
and a slash too many or too few is another DID. So a name is never normalised; it is taken to the
letter or refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import quote

from af_labextension.data.paths import is_printable
from af_labextension.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONGEST_SCOPE, LONGEST_NAME = 255, 1024
"""Bytes of UTF-8. Rucio's own limits are 25 and 250, or what an experiment's policy package says."""

SEARCH_LIMIT = 1000
"""Rows of one search: Rucio's search has no offset, and nobody reads more."""

Kind = Literal["container", "dataset", "file"]
"""What a DID is."""

KINDS: tuple[Kind, ...] = get_args(Kind)
COLLECTIONS: tuple[Kind, ...] = ("container", "dataset")

SEARCH_TYPES = ("collection", "container", "dataset", "file", "all")
"""Values of ``type`` that Rucio's search takes (``list_dids`` of its metadata plugins)."""

_KINDS: dict[object, Kind] = {
    name: kind for kind in KINDS for name in (kind, kind.upper(), kind[0].upper())
}


@dataclass(frozen=True, slots=True)
class Did:
    """A data identifier.

    Parameters
    ----------
    scope, name
        As Rucio has them, to the letter.
    """

    scope: str
    name: str

    def __str__(self) -> str:
        """Write ``scope:name``, as Rucio's users do."""
        return f"{self.scope}:{self.name}"

    def as_json(self) -> dict[str, str]:
        """Return what Rucio's REST interface takes."""
        return {"scope": self.scope, "name": self.name}

    @property
    def path(self) -> str:
        """Part of a URL: each piece quoted whole, so that a slash of the name stays a slash of it."""
        return f"{quote(self.scope, safe='')}/{quote(self.name, safe='')}"


def did_from(scope: object, name: object) -> Did:
    """Check what a browser sent.

    Raises
    ------
    BadRequest
        ``bad-scope`` or ``bad-name``: no text, too long, a control character, half a surrogate
        pair, or a part ``.`` or ``..`` (web servers before Rucio resolve those, even quoted, and
        would answer for another DID).
    """
    return Did(checked_scope(scope), _checked_name(name))


def checked_scope(scope: object) -> str:
    """Return a scope that can stand in a URL; see `did_from`."""
    if (
        not isinstance(scope, str)
        or not _fits(scope, LONGEST_SCOPE)
        or "/" in scope
        or scope in {".", ".."}
    ):
        raise BadRequest("bad-scope", "This is not the name of a scope.")
    return scope


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not _fits(name, LONGEST_NAME):
        raise BadRequest(
            "bad-name",
            "This name cannot be asked for: it is empty, far too long or has control characters.",
        )
    if {".", ".."} & set(name.split("/")):
        raise BadRequest(
            "bad-name",
            "This name has a part '.' or '..', which web servers would take for a folder. Use"
            " `rucio` in a terminal.",
        )
    return name


def _fits(text: str, longest: int) -> bool:
    """Tell whether a text is there, printable, UTF-8 and not too long."""
    try:
        length = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        return False
    return 0 < length <= longest and is_printable(text)


def search_pattern(text: str) -> str:
    """Turn what a user typed into Rucio's pattern: ``*`` stands for any text.

    Plain text is looked for anywhere in a name. A pattern without ``*`` would be dangerous beside:
    Rucio 41 reads ``2024`` as a number and answers with an error of its database.

    Raises
    ------
    BadRequest
        ``bad-pattern``.

    Examples
    --------
    >>> search_pattern("ZMuMu"), search_pattern("/ZMuMu*"), search_pattern(" ")
    ('*ZMuMu*', '/ZMuMu*', '*')
    """
    text = text.strip()
    if text and (not _fits(text, LONGEST_NAME) or "\\" in text):
        raise BadRequest(
            "bad-pattern",
            "This cannot be searched for: it is far too long, or has a backslash or control"
            " characters.",
        )
    if "*" in text:
        return re.sub(r"\*+", "*", text)
    return f"*{text}*" if text else "*"


def collection_row(row: Mapping[str, Any]) -> str:
    """Write a row of a search (``long``) or of a container's contents as a line of NDJSON.

    Sizes are null for collections that are open or never were closed.

    Raises
    ------
    ValueError
        This is no row of Rucio's.
    """
    scope, name = _did_texts(row)
    kind = _KINDS.get(row.get("did_type", row.get("type")))
    if kind is None:
        raise ValueError("no type")
    files = _number(row.get("length"))
    return (
        f'{{"scope": {scope}, "name": {name}, "type": "{kind}",'
        f' "bytes": {_number(row.get("bytes"))}, "files": {files}}}\n'
    )


def file_row(row: Mapping[str, Any]) -> str:
    """Write a row of a dataset's files as a line of NDJSON; see `collection_row`."""
    scope, name = _did_texts(row)
    return (
        f'{{"scope": {scope}, "name": {name}, "type": "file",'
        f' "bytes": {_number(row.get("bytes"))}, "events": {_number(row.get("events"))}}}\n'
    )


def _did_texts(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return scope and name as JSON strings in ASCII: half a surrogate pair does no harm there."""
    scope, name = row["scope"], row["name"]
    if type(scope) is not str or type(name) is not str:
        raise ValueError("no scope and name")
    return quoted(scope), quoted(name)


def _number(value: object) -> str:
    """Write a count as JSON; Rucio sends sums as floats."""
    if type(value) is int:
        return str(value)
    if type(value) is float and math.isfinite(value):
        return str(int(value))
    return "null"


def count_of(value: object) -> int | None:
    """Read a count, ``None`` where there is none."""
    text = _number(value)
    return None if text == "null" else int(text)


def scopes_of(answer: object) -> list[str]:
    """Read the list of scopes, sorted; Rucio 41 sends names, later ones objects (rucio #8125).

    Raises
    ------
    ValueError
        This is no list of scopes.
    """
    if not isinstance(answer, list):
        raise ValueError("no list")  # noqa: TRY004 - of a document
    return sorted(set(_scope_names(answer)))


def _scope_names(answer: Iterable[object]) -> Iterable[str]:
    for entry in answer:
        name = entry.get("scope") if isinstance(entry, dict) else entry
        if not isinstance(name, str):
            raise ValueError("no scope")  # noqa: TRY004 - of a document
        yield name
