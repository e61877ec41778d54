"""Read a WebDAV directory listing (RFC 4918) piece by piece.

What a storage server sends is not trusted: a document type (and with it every entity) is refused,
the number of entries and the length of each text are bounded, and only direct children of the
asked folder come out, with URLs built by us below the door. Memory does not grow with the listing.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote_to_bytes, urlsplit
from xml.parsers import expat

from af_labextension.errors import NotAnswering

from .paths import is_name, quoted_segment

if TYPE_CHECKING:
    from collections.abc import Iterator

PROPFIND_BODY = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/></prop>'
    b"</propfind>"
)
"""Ask for what a row shows and nothing else: a third of the bytes of an unnamed PROPFIND."""

_LONGEST_TEXT = 32768
"""Characters of one text in the answer; names have at most 255 bytes, three times that quoted."""

_RESPONSE, _HREF, _STATUS = "DAV: response", "DAV: href", "DAV: status"
_PROPSTAT, _COLLECTION = "DAV: propstat", "DAV: collection"
_LENGTH, _MODIFIED = "DAV: getcontentlength", "DAV: getlastmodified"
_TEXTS = {_HREF, _STATUS, _LENGTH, _MODIFIED}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a listing.

    Parameters
    ----------
    name
        File name, decoded; bytes that are not UTF-8 show as U+FFFD.
    type
        ``directory`` or ``file``.
    size
        Bytes, ``None`` for a directory or where the server does not say.
    modified
        Seconds since the epoch, ``None`` where the server does not say.
    url
        Address of the entry below the door, percent-encoded.
    """

    name: str
    type: Literal["directory", "file"]
    size: int | None
    modified: float | None
    url: str

    def as_json(self) -> dict[str, Any]:
        """Return the NDJSON row of ``GET af/storage/<door>/list``."""
        return {
            "name": self.name,
            "type": self.type,
            "size": self.size,
            "modified": self.modified,
            "url": self.url,
        }


class Listing:
    """A parser that takes pieces of a multistatus answer and gives entries.

    Parameters
    ----------
    url
        Address of the asked folder, percent-encoded, without a slash at the end.
    limit
        Entries at most; what comes later is counted but not given.
    """

    def __init__(self, url: str, *, limit: int = 200_000) -> None:
        self._url = url
        self._folder = unquote_to_bytes(urlsplit(url).path).rstrip(b"/")
        self._limit = limit
        self.count = 0
        """Entries given so far."""
        self.left_out = 0
        """Entries beyond the limit or with names that no path can hold."""
        self.folder_is_file = False
        """The asked path turned out to be a file."""
        self._entries: list[Entry] = []
        self._fields: dict[str, str] = {}
        self._collection = False
        self._text: list[str] | None = None
        self._length = 0
        self._saw_root = False
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser = parser

    def feed(self, piece: bytes) -> Iterator[Entry]:
        """Take the next piece and give the entries that it completed.

        Raises
        ------
        NotAnswering
            ``storage-garbage``: this is not a listing.
        """
        self._parse(piece, last=False)
        done, self._entries = self._entries, []
        yield from done

    def close(self) -> None:
        """Check that the listing came to its end.

        Raises
        ------
        NotAnswering
            ``storage-garbage``: it is cut off.
        """
        self._parse(b"", last=True)

    def _parse(self, piece: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(piece, last)
        except expat.ExpatError as error:
            raise _garbage(str(error)) from error

    def _refuse_doctype(self, *_: object) -> None:
        raise _garbage("document type")

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        if not self._saw_root:
            if name != "DAV: multistatus":
                raise _garbage("no multistatus")
            self._saw_root = True
        if name == _RESPONSE:
            self._fields, self._collection = {}, False
        elif name == _COLLECTION:
            self._collection = True
        self._text, self._length = ([] if name in _TEXTS else None), 0

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._length += len(text)
            if self._length > _LONGEST_TEXT:
                raise _garbage("endless text")
            self._text.append(text)

    def _end(self, name: str) -> None:
        if self._text is not None and name in _TEXTS:
            # a property without a value stands in a second propstat, with status 404: keep the first
            self._fields.setdefault(name, "".join(self._text).strip())
        self._text = None
        if name == _RESPONSE:
            self._finish_response()

    def _finish_response(self) -> None:
        """Turn one response into an entry, if it is a child of the asked folder."""
        try:
            path = urlsplit(self._fields.get(_HREF, "")).path
        except ValueError:
            return
        folder, _, segment = path.rstrip("/").rpartition("/")
        if unquote_to_bytes(path).rstrip(b"/") == self._folder:
            self.folder_is_file = not self._collection and not path.endswith("/")
            return
        raw = unquote_to_bytes(segment)
        if unquote_to_bytes(folder).rstrip(b"/") != self._folder:
            return
        name = raw.decode("utf-8", "replace")
        if self.count >= self._limit or not is_name(name):
            self.left_out += 1
            return
        self.count += 1
        self._entries.append(
            Entry(
                name=name,
                type="directory" if self._collection else "file",
                size=None if self._collection else _size(self._fields.get(_LENGTH, "")),
                modified=_moment(self._fields.get(_MODIFIED, "")),
                url=f"{self._url}/{quoted_segment(segment)}",
            )
        )


def _size(text: str) -> int | None:
    """Read a length in bytes."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _moment(text: str) -> float | None:
    """Read an HTTP date as seconds since the epoch."""
    try:
        return parsedate_to_datetime(text[:64]).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _garbage(detail: str) -> NotAnswering:
    """Say that the answer is no listing."""
    return NotAnswering(
        "storage-garbage",
        "The storage gave an answer that is not a directory listing. Tell the facility's support.",
        status=502,
        detail=detail[:200],
    )
