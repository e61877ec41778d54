"""Image references in the two halves that the chart wants. Pure."""

from __future__ import annotations

import re
from typing import Final

from af_hub.errors import ConfigError

_REFERENCE: Final = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+(:[0-9]{1,5}(?=/))?(/[a-z0-9._-]+)*)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(@sha256:(?P<digest>[0-9a-f]{64}))?"
)


def split(reference: str) -> dict[str, str]:
    """Split a reference into ``name`` and ``tag``, which the chart joins with a colon.

    Parameters
    ----------
    reference
        ``HOST/PATH:TAG``, ``HOST/PATH@sha256:DIGEST`` or both; a digest wins.

    Raises
    ------
    ConfigError
        ``kube-image`` if it says neither tag nor digest, or is no reference at all.

    Examples
    --------
    >>> split("registry.example.org:5000/af/lab:7")
    {'name': 'registry.example.org:5000/af/lab', 'tag': '7'}
    """
    found = _REFERENCE.fullmatch(reference)
    if found is not None and found["digest"]:
        return {"name": f"{found['name']}@sha256", "tag": found["digest"]}
    if found is not None and found["tag"]:
        return {"name": found["name"], "tag": found["tag"]}
    raise ConfigError(
        "kube-image",
        f"{reference[:80]!r} is not of the form HOST/PATH:TAG or HOST/PATH@sha256:DIGEST.",
    )
