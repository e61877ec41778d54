"""What the Lab server and its XRootD worker say to each other.

Both directions are lines of JSON in UTF-8. The server writes commands to the worker's standard
input; the worker answers with frames: one line, followed by as many bytes as its ``size`` says.
Rows of a listing come as ready NDJSON, so that the server passes them on without reading them.

==========  ==============================================================================
command     meaning
==========  ==============================================================================
``token``   use this token from now on, on new connections
``list``    list a folder; rows come a page at a time, as long as there is credit
``more``    the browser took a page: one more may come
``stat``    tell type, size and time of some names in a folder
``cancel``  nobody waits for this answer any more
==========  ==============================================================================
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

LONGEST_LINE = 4 * 1024 * 1024
"""Bytes of a line: 200 names of 255 bytes, each written as a six-letter escape, fit many times."""

LARGEST_BODY = 16 * 1024 * 1024
"""Bytes that may follow the line of a frame: a page of names on the longest path fits."""

PAGE = 1000
"""Rows of one frame at most."""

WINDOW = 4
"""Pages that may be under way between the worker and the browser."""

Reason = Literal[
    "internal",  # the worker's own fault
    "is-file",  # the asked folder is a file
    "names",  # a name is not UTF-8, and the bindings give up on it
    "not-allowed",
    "not-there",
    "other",
    "silent",  # connected, but no answer in time
    "token",  # the token was refused at login
    "tls",
    "unreachable",
]
"""Why a request failed."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed.

    Parameters
    ----------
    reason
        What the user is told depends on it.
    detail
        The client library's words, for the log. They name paths, and never hold a token.
    """

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SetToken:
    """``token``: the token for new connections."""

    token: str


@dataclass(frozen=True, slots=True)
class ListFolder:
    """``list``.

    Parameters
    ----------
    id
        Number of the request.
    server
        ``root://host:port`` or ``roots://host:port``, without a slash at the end.
    path
        Absolute path of the folder on the server.
    url
        Address of the folder as the rows show it, without a slash at the end.
    limit
        Rows at most; further entries are counted.
    """

    id: int
    server: str
    path: str
    url: str
    limit: int


@dataclass(frozen=True, slots=True)
class StatNames:
    """``stat``: like `ListFolder`, for some names only."""

    id: int
    server: str
    path: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class More:
    """``more``: room for one more page of a listing."""

    id: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """``cancel``: forget a request."""

    id: int


Command = SetToken | ListFolder | StatNames | More | Cancel

_COMMANDS: dict[str, type[Command]] = {
    "token": SetToken,
    "list": ListFolder,
    "stat": StatNames,
    "more": More,
    "cancel": Cancel,
}
_OPERATIONS = {command: name for name, command in _COMMANDS.items()}


def command_line(command: Command) -> bytes:
    """Write a command as a line."""
    return _line({"op": _OPERATIONS[type(command)], **asdict(command)})


def read_command(line: bytes) -> Command:
    """Read a command.

    Raises
    ------
    ValueError
        The line is no command.
    """
    fields = json.loads(line)
    try:
        command = _COMMANDS[fields.pop("op")]
        if command is StatNames:
            fields["names"] = tuple(fields["names"])
        return command(**fields)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not a command") from error


Kind = Literal["ready", "missing", "rows", "entries", "end", "failed"]
"""What a frame tells: the worker runs, it has no bindings, or an answer to a request."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An answer of the worker.

    Parameters
    ----------
    kind
        ``rows`` and ``entries`` have a body; ``end`` and ``failed`` end a request.
    id
        Number of the request; 0 for ``ready`` and ``missing``.
    count
        Rows in the body.
    left_out
        Entries so far that cannot be shown.
    failure
        Only with ``failed``.
    body
        NDJSON rows, or the entries of a ``stat`` as a JSON list.
    """

    kind: Kind
    id: int = 0
    count: int = 0
    left_out: int = 0
    failure: Failure | None = None
    body: bytes = b""


def frame_bytes(frame: Frame) -> bytes:
    """Write a frame: its line and its body."""
    fields: dict[str, Any] = {"kind": frame.kind, "id": frame.id, "size": len(frame.body)}
    if frame.count:
        fields["count"] = frame.count
    if frame.left_out:
        fields["left_out"] = frame.left_out
    if frame.failure is not None:
        fields["failure"] = asdict(frame.failure)
    return _line(fields) + frame.body


def read_frame_line(line: bytes) -> tuple[Frame, int]:
    """Read a frame's line; return the frame without its body, and the size of the body in bytes.

    Raises
    ------
    ValueError
        The line is no frame, or its body would be larger than `LARGEST_BODY`.
    """
    fields = json.loads(line)
    if not isinstance(fields, dict) or fields.get("kind") not in get_args(Kind):
        raise ValueError("not a frame")
    size = fields.get("size", 0)
    numbers = [size, *(fields.get(name, 0) for name in ("id", "count", "left_out"))]
    if not all(type(number) is int and number >= 0 for number in numbers) or size > LARGEST_BODY:
        raise ValueError("not a frame")
    failure = fields.get("failure")
    if failure is not None:
        try:
            failure = Failure(**failure)
        except TypeError as error:
            raise ValueError("not a frame") from error
        if failure.reason not in get_args(Reason):
            raise ValueError("not a frame")
    return Frame(fields["kind"], numbers[1], numbers[2], numbers[3], failure), size


def _line(fields: dict[str, Any]) -> bytes:
    """Write one line of JSON; half surrogate pairs survive as escapes."""
    return json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n"
