"""Paths below a storage door: checked once, at the edge."""

from __future__ import annotations

import re
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

from af_labextension.errors import BadRequest

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")

LONGEST_PATH = 4096
"""Bytes of UTF-8, as PATH_MAX of Linux."""


def normalise(path: str) -> str:
    """Return a path below a door in its one form: ``""`` or ``/a/b``.

    Empty parts and ``.`` vanish. Everything else is kept to the letter: ``%``, ``#``, spaces and
    any script's letters are part of a name.

    Raises
    ------
    BadRequest
        ``bad-path``: ``..`` (it would leave the door), a control character, half a surrogate pair
        or too long.

    Examples
    --------
    >>> normalise("cms//./zmumu/")
    '/cms/zmumu'
    >>> normalise("/")
    ''
    """
    parts = [part for part in path.split("/") if part not in {"", "."}]
    try:
        length = len(path.encode("utf-8"))
    except UnicodeEncodeError:
        length = LONGEST_PATH + 1
    if ".." in parts or length > LONGEST_PATH or not is_printable(path):
        raise BadRequest(
            "bad-path", "This path cannot be used: '..', control characters or far too long."
        )
    return "".join(f"/{part}" for part in parts)


def is_printable(text: str) -> bool:
    """Tell whether a text is free of control characters (C0, DEL and C1)."""
    return _CONTROL.search(text) is None


def is_name(name: str) -> bool:
    """Tell whether a name that a storage sent can be part of a path that we would take back."""
    return name not in {"", ".", ".."} and "/" not in name and is_printable(name)


def url_of(door_url: str, path: str) -> str:
    """Return the URL of a normalised path below a door; every odd letter is percent-encoded.

    Examples
    --------
    >>> url_of("https://host/store", "/cms/50% #1")
    'https://host/store/cms/50%25%20%231'
    """
    return door_url + quote(path, safe="/")


def checked_raw_path(path: str) -> str:
    """Return a path that an XRootD server will take as a name, letter by letter.

    Raises
    ------
    BadRequest
        ``bad-name``: what follows a ``?`` is not part of the name but an instruction to the server
        (opaque information), which could even carry another token (``?authz=``).
    """
    if "?" in path:
        raise BadRequest(
            "bad-name",
            "XRootD cannot open names with a question mark. Use a WebDAV door for this file, or"
            " have it renamed.",
        )
    return path


def raw_url_of(door_url: str, path: str) -> str:
    """Return the XRootD address of a normalised path below a door.

    XRootD's clients do not decode percent signs and know no fragments: each letter stands for
    itself. A ``?`` must have been refused before.

    Examples
    --------
    >>> raw_url_of("root://host//store", "/cms/50% #1")
    'root://host//store/cms/50% #1'
    """
    return door_url + path


def quoted_segment(segment: str) -> str:
    """Bring one part of a server's URL path into the form that `url_of` gives."""
    return quote_from_bytes(unquote_to_bytes(segment), safe="")
