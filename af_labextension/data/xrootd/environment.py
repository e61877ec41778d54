"""What a worker may see of the Lab server's environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEPT = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "TZ")
_DROPPED = ("XRD_LOGFILE", "XRD_LOGLEVEL", "XRD_LOGMASK")


def environment(surroundings: Mapping[str, str], *, with_token: bool) -> dict[str, str]:
    """Return the environment of a worker: what XRootD needs, and none of the Lab's secrets.

    The only way to log in is a token where doors want one, and none where they do not: so no
    token of the user reaches a door that did not ask for it, wherever else one may lie.
    """
    kept = {
        name: value
        for name, value in surroundings.items()
        if name in _KEPT
        or (name.startswith("XRD_") and name not in _DROPPED)
        or name in {"X509_CERT_DIR", "X509_CERT_FILE"}
    }
    kept["MALLOC_ARENA_MAX"] = "2"  # else each of its 15 threads may reserve 64 MB of addresses
    kept["XrdSecPROTOCOL"] = "ztn" if with_token else "unix,host"
    return kept
