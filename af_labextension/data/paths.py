"""Paths below a storage door: checked once, at the edge."""

from __future__ import annotations

from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

from af_labextension.errors import BadRequest

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
    return not any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in text)


def url_of(door_url: str, path: str) -> str:
    """Return the URL of a normalised path below a door; every odd letter is percent-encoded.

    Examples
    --------
    >>> url_of("https://host/store", "/cms/50% #1")
    'https://host/store/cms/50%25%20%231'
    """
    return door_url + quote(path, safe="/")


def quoted_segment(segment: str) -> str:
    """Bring one part of a server's URL path into the form that `url_of` gives."""
    return quote_from_bytes(unquote_to_bytes(segment), safe="")
