"""The doors to the facility's storage that this Lab knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import SplitResult, urlsplit

from af_labextension.errors import LabError, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FOLDER = re.compile(r"[A-Za-z0-9/._~:@+=,-]*")
_DEFAULT_PORT = {"https": 443, "http": 80}

Kind = Literal["webdav", "xrootd"]
"""The protocol of a door."""

_KINDS: dict[str, Kind] = {"https": "webdav", "http": "webdav", "root": "xrootd", "roots": "xrootd"}


@dataclass(frozen=True, slots=True)
class Door:
    """One door: WebDAV or XRootD.

    Parameters
    ----------
    name
        Short name, part of our own URLs.
    title
        What the user reads.
    url
        Address of the door's top folder: host in lower case, no slash at the end; of WebDAV without
        the default port, of XRootD with two slashes before the path.
    audience
        Name of the audience that its tokens need; ``None``: the door is open to all.
    """

    name: str
    title: str
    url: str
    audience: str | None

    @property
    def kind(self) -> Kind:
        """The protocol that the door speaks."""
        return _KINDS[self.url.partition(":")[0]]

    def as_json(self) -> dict[str, str]:
        """Return the row of ``GET af/storage``."""
        return {"name": self.name, "title": self.title, "url": self.url, "kind": self.kind}


def door_from(entry: Mapping[str, Any]) -> Door:
    """Read ``{"name", "title", "url", "audience"}``.

    Raises
    ------
    ValueError
        Something in it cannot be meant; the message names it.
    """
    name, url = entry.get("name"), entry.get("url")
    audience = entry.get("audience")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"storage door: name {name!r} is not letters, digits, '.', '_' or '-'")
    if not isinstance(url, str):
        raise ValueError(f"storage door {name}: url is missing")  # noqa: TRY004 - of a document
    parts = urlsplit(url)
    if (
        parts.scheme not in _KINDS
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
        or not _FOLDER.fullmatch(parts.path)
    ):
        raise ValueError(
            f"storage door {name}: url must be https://host[:port]/folder or"
            " root://host[:port]//folder"
        )
    if audience is not None and (not isinstance(audience, str) or not audience):
        raise ValueError(f"storage door {name}: audience must be a name")
    if audience is not None and parts.scheme == "http" and not _loopback(parts.hostname):
        # RFC 6750 section 5.3: a bearer token over clear text is everybody's token
        raise ValueError(f"storage door {name}: a token may only travel over https")
    return Door(name, str(entry.get("title") or name), _canonical(parts), audience)


def _canonical(parts: SplitResult) -> str:
    """Write a URL as its clients do, so that "begins with the door's URL" can be tested on text."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    if _KINDS[parts.scheme] == "xrootd":
        # the port stays as it is written: addresses from elsewhere are compared with the door's
        port = "" if parts.port is None else f":{parts.port}"
        folder = parts.path.strip("/")
        return f"{parts.scheme}://{host}{port}/" + (f"/{folder}" if folder else "")
    port = "" if parts.port in {None, _DEFAULT_PORT[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def _loopback(host: str) -> bool:
    """Tell whether what is sent to a host stays on this machine."""
    return host in {"localhost", "::1"} or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


class Doors:
    """The doors, from the hub or from the Lab's own settings.

    Parameters
    ----------
    fixed
        Doors from the Lab's settings; they win where there are any.
    lab_config
        Gives the hub's lab configuration, ``None`` in a Lab without a hub.
    """

    def __init__(
        self,
        fixed: Sequence[Door],
        lab_config: Callable[[], Awaitable[Mapping[str, Any]]] | None,
    ) -> None:
        self._fixed = tuple(fixed)
        self._lab_config = lab_config

    def variable(self) -> str:
        """Return the fixed doors as ``AF_DOORS`` has them: ``audience=url``, blanks between."""
        return " ".join(
            f"{door.audience}={door.url}"
            for door in self._fixed
            if door.audience and not re.search(r"[\s=]", door.audience)
        )

    async def all(self) -> tuple[Door, ...]:
        """Return all doors.

        Raises
        ------
        LabError
            The hub does not answer, or its list cannot be read (``storage-config``).
        """
        if self._fixed or self._lab_config is None:
            return self._fixed
        config = await self._lab_config()
        try:
            return tuple(door_from(entry) for entry in config.get("storage") or [])
        except (ValueError, AttributeError, TypeError) as error:
            raise LabError(
                "storage-config",
                "The facility's list of storage cannot be read. Tell the facility's support.",
                detail=str(error)[:200],
            ) from error

    async def find(self, name: str) -> Door:
        """Return the door with this name.

        Raises
        ------
        Refused
            ``unknown-door``, status 404.
        """
        for door in await self.all():
            if door.name == name:
                return door
        raise Refused("unknown-door", f"There is no storage named {name[:64]!r} here.", status=404)
