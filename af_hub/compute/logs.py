"""Logs of schedulers and workers as their owner may read them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from af_hub.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_LINES = 2000
"""Lines of one log in one answer."""
USUAL_LINES = 200
"""Lines unless asked otherwise."""
MOST_BYTES = 256 * 1024
"""Bytes at the end of one log that are looked at."""

_SECRET = re.compile(
    r"eyJ[\w-]{5,}(?:\.[\w-]*){1,4}"  # a JSON Web Token, or most of one
    r"|(?i:bearer|token)[ =:]+[\w.~+/-]{16,}=*"
)
# escapes of terminals, and every other control character but tab and line feed
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Log:
    """The end of one process's log.

    Parameters
    ----------
    name
        ``scheduler``, or ``worker`` and its name.
    text
        Lines.
    truncated
        Whether there are earlier lines.
    """

    name: str
    text: str
    truncated: bool

    def as_json(self) -> dict[str, Any]:
        """Return the form of the REST API."""
        return {"name": self.name, "text": self.text, "truncated": self.truncated}


def make_log(name: str, raw: bytes, lines: int, *, cut: bool, secrets: Iterable[str]) -> Log:
    """Make the end of a log fit to be shown.

    Parameters
    ----------
    name
        See `Log`.
    raw
        The end of the file.
    lines
        At most so many lines.
    cut
        Whether the file begins earlier than `raw`.
    secrets
        What must not be shown, beside everything that looks like a token.
    """
    text = raw.decode("utf-8", "replace").replace("\r\n", "\n")
    for secret in secrets:
        if len(secret) >= 8:
            text = text.replace(secret, "[removed]")
    text = _SECRET.sub("[removed]", _CONTROL.sub("", text))
    # not splitlines: it breaks at characters that are none for an editor
    found = text.removesuffix("\n").split("\n") if text else []
    if cut:
        found = found[1:]  # only the end of a line
    return Log(name, "\n".join(found[-lines:]), cut or len(found) > lines)


def read_lines(asked: str | None) -> int:
    """Read how many lines are asked for.

    Raises
    ------
    Refusal
        ``bad-option``, names the field.
    """
    if asked is None:
        return USUAL_LINES
    if not re.fullmatch(r"[0-9]{1,5}", asked, re.ASCII) or not 1 <= int(asked) <= MOST_LINES:
        message = f"lines must be a whole number from 1 to {MOST_LINES}."
        raise Refusal("bad-option", message, status=422)
    return int(asked)
