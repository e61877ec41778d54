"""Find the bearer token as XRootD's clients do, and see when it is another one."""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token as it was found.

    Parameters
    ----------
    token
        The token.
    written
        When its file was written, in seconds since the epoch by this machine's clock; None for one
        from the environment, which nobody can renew from outside.
    """

    token: bytes = field(repr=False)
    written: float | None


def find_bearer(environ: Mapping[str, str]) -> Bearer | None:
    """Return the token of the moment, None if there is none.

    WLCG Bearer Token Discovery: ``BEARER_TOKEN``, the file that ``BEARER_TOKEN_FILE`` names,
    ``bt_u<uid>`` in ``XDG_RUNTIME_DIR``, then in ``/tmp``.

    The file is read each time: it is small, lies in memory, and reading costs a few microseconds.
    """
    if value := environ.get("BEARER_TOKEN", "").strip():
        return Bearer(value.encode(), None)
    return next((found for place in _places(environ) if (found := bearer_in(place))), None)


def bearer_in(place: Path) -> Bearer | None:
    """Return what stands in a token file, None if it is empty or cannot be read."""
    try:
        with place.open("rb") as file:
            token = file.read().strip()
            return Bearer(token, os.fstat(file.fileno()).st_mtime) if token else None
    except OSError:
        return None


def _places(environ: Mapping[str, str]) -> Iterator[Path]:
    if named := environ.get("BEARER_TOKEN_FILE"):
        yield Path(named)
    name = f"bt_u{os.geteuid()}"
    if folder := environ.get("XDG_RUNTIME_DIR"):
        yield Path(folder) / name
    yield Path("/tmp") / name  # noqa: S108 - the place is what the discovery says


def lifetime(token: bytes) -> float | None:
    """Return for how many seconds a token was made, None if it does not say.

    The difference of its ``exp`` and ``iat``, so that this machine's clock does not matter. The
    signature is not looked at: nothing but the pace of tidying up and of waiting depends on it.
    """
    try:
        _, body, _ = token.split(b".")
        claims = json.loads(base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4)))
        return max(float(claims["exp"]) - float(claims["iat"]), 0.0)
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
