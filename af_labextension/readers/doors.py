"""The facility's https doors, and the token that each may see. Pure but for reading tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .bearer import bearer_in, find_bearer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .bearer import Bearer

VARIABLE = "AF_DOORS"
"""Environment variable: ``audience=https://host[:port]/folder``, more of them after blanks."""

_AUDIENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""No name of an audience leads out of ``$AF_TOKEN_DIR``."""


@dataclass(frozen=True, slots=True)
class HttpsDoor:
    """A door over https.

    Parameters
    ----------
    audience
        Name of the audience that its tokens have.
    host, port, folder
        Its address; the folder ends with a slash.
    """

    audience: str
    host: str
    port: int
    folder: str

    def shows(self, url: str) -> bool:
        """Tell whether an address is of this door; over plain http none is."""
        origin, path = _place(url)
        return origin == (self.host, self.port) and f"{path}/".startswith(self.folder)


@lru_cache(maxsize=4)
def doors_in(text: str) -> tuple[HttpsDoor, ...]:
    """Read `VARIABLE`; what is no door over https is left out.

    Examples
    --------
    >>> doors_in("storage=https://disk:8443/store storage=root://cache//store")
    (HttpsDoor(audience='storage', host='disk', port=8443, folder='/store/'),)
    """
    doors = []
    for entry in text.split():
        audience, _, url = entry.partition("=")
        origin, path = _place(url)
        if origin is not None and audience:
            doors.append(HttpsDoor(audience, *origin, path.rstrip("/") + "/"))
    return tuple(doors)


def audience_for(url: str, environ: Mapping[str, str]) -> str | None:
    """Return the audience whose token an address may see, None if it may see none.

    Parameters
    ----------
    url
        What is about to be asked, and not what led there.
    environ
        Has `VARIABLE`.
    """
    doors = doors_in(environ.get(VARIABLE, ""))
    return next((door.audience for door in doors if door.shows(url)), None)


def bearer_for(audience: str, environ: Mapping[str, str]) -> Bearer | None:
    """Return the token of the moment for an audience, None if there is none.

    Where there is a folder with a token for each audience, ``AF_TOKEN_DIR``, it is the one there;
    else it is the one bearer token.
    """
    folder = environ.get("AF_TOKEN_DIR")
    if not folder:
        return find_bearer(environ)
    return bearer_in(Path(folder) / audience) if _AUDIENCE.fullmatch(audience) else None


def _place(url: str) -> tuple[tuple[str, int] | None, str]:
    """Return host and port, and the path; no host for anything but https."""
    try:
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname:
            return (parts.hostname, parts.port or 443), parts.path
    except ValueError:
        pass
    return None, ""
