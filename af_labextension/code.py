"""Tokens for code in notebooks, scripts and on Dask workers: ``token("storage")``.

It reads the files that the Lab, or the gateway beside a worker, keeps valid, each time it is asked:
so ask for each request, and keep no token. It speaks to nobody.
"""

from __future__ import annotations

import os
import re
from functools import cache, partial
from pathlib import Path

from .errors import LabError
from .readers.bearer import bearer_in, find_bearer
from .readers.patience import Patience
from .tokens.model import is_token

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names of audiences as the hub takes them; so no name leads out of ``$AF_TOKEN_DIR``."""

_LARGEST = 65536
"""Bytes; a larger file is no token."""


class AccessToken(str):
    """A token as text that shows itself only to those who mean it.

    It is a `str`, so that it works wherever one is wanted: in an f-string, a header, a client
    library that checks types. But a plain `str` at the end of a cell would be written into the
    notebook, and from there into a repository or a mail; so would one in a dictionary of headers,
    in a traceback that shows local variables, and in a log line with ``%r``. All of them ask for
    the `repr`, which tells the length only. ``print(token(…))`` and ``str(token(…))`` give the token:
    who writes that wants it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<token of {len(self)} characters>"


class NoToken(LabError):
    """There is no token to be had; ``code`` is stable, ``message`` says what to do."""


def token(audience: str | None = None) -> AccessToken:
    """Return the token of the moment.

    Parameters
    ----------
    audience
        Name that the facility gave to the audience, for example ``storage``: the token is read
        from ``$AF_TOKEN_DIR/<audience>``. Where there is no such folder, on Dask workers and in a
        Lab without a hub, there is one token; it serves each audience that it is for. ``None``:
        what WLCG Bearer Token Discovery finds, that is ``BEARER_TOKEN``, the file that
        ``BEARER_TOKEN_FILE`` names, ``bt_u<uid>`` in ``XDG_RUNTIME_DIR``, then in ``/tmp``.

    Returns
    -------
    AccessToken
        A `str` whose `repr` hides it. If the one there has ended, as after a laptop's sleep, it
        waits for the Lab to bring a new one, as long as readers do (`af_labextension.readers`) and
        once for each token.

    Raises
    ------
    NoToken
        ``no-token-source``, ``unknown-audience``, ``token-file-unreadable`` or ``token-expired``.

    Examples
    --------
    >>> import requests  # doctest: +SKIP
    >>> headers = {"Authorization": f"Bearer {token('storage')}"}  # doctest: +SKIP
    >>> requests.get("https://storage.example.org/store/f", headers=headers)  # doctest: +SKIP
    """
    if audience is None:
        place, what = "", "a token"
    else:
        place, what = _place(audience), f"a token for {audience!r}"
    patience = _patience(place)
    found = patience.wait()
    if found is None:
        raise _nothing_at(place, what)
    if len(found.token) > _LARGEST or not is_token(text := found.token.decode("ascii", "replace")):
        raise NoToken(
            "token-file-unreadable",
            f"What stands where {what} should be is none. Remove {place or _named()} and let the"
            " Lab write it anew, or get a new token into it.",
        )
    if patience.over:
        raise NoToken(
            "token-expired",
            f"The Lab could not get {what} in time: the last one has ended. Click on your name in"
            " the Lab's status bar: it says why, and lets you log in again.",
        )
    return AccessToken(text)


def _place(audience: str) -> str:
    """Return the path of an audience's file; empty where the one bearer token is meant."""
    if not _NAME.fullmatch(str(audience)):
        raise NoToken(
            "unknown-audience",
            f"{str(audience)[:64]!r} cannot be the name of an audience: names are made of letters,"
            " digits, '.', '_' and '-'.",
        )
    if folder := os.environ.get("AF_TOKEN_DIR"):
        return str(Path(folder) / str(audience))
    told = {door.partition("=")[0] for door in os.environ.get("AF_DOORS", "").split()}
    if told and audience not in told:
        # the gateway gave a worker a token that is good for its own audience only
        raise NoToken(
            "unknown-audience",
            f"There is no token for {audience!r} here, only for: {', '.join(sorted(told))}.",
        )
    return ""


@cache
def _patience(place: str) -> Patience:
    """Return what waits for one place; kept, since its clock begins when it first sees a token."""
    return Patience(partial(bearer_in, Path(place)) if place else partial(find_bearer, os.environ))


def _nothing_at(place: str, what: str) -> NoToken:
    """Say why there is nothing to read."""
    if not place:
        return NoToken(
            "no-token-source",
            "There is no token here: neither BEARER_TOKEN_FILE nor the other places of WLCG Bearer"
            " Token Discovery have one. Start this program in a Lab or a terminal of the facility.",
        )
    folder, name = Path(place).parent, Path(place).name
    try:
        known = sorted(entry.name for entry in folder.iterdir() if _NAME.fullmatch(entry.name))
    except OSError:
        known = []
    if name in known:
        return NoToken(
            "token-file-unreadable", f"{place}, where {what} should be, is empty or not readable."
        )
    if known:
        return NoToken(
            "unknown-audience",
            f"There is no token for {name!r} here. There are tokens for: {', '.join(known)}.",
        )
    return NoToken(
        "no-token-source",
        f"There is no token in {folder} yet. Click on your name in the Lab's status bar: it says"
        " why.",
    )


def _named() -> str:
    return os.environ.get("BEARER_TOKEN_FILE", "the file")
