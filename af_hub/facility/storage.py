"""Section ``storage``: where the data is."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from af_hub.facility.addresses import MAX_LENGTH, Address, parse_address
from af_hub.facility.base import Model, Slug, Title

_SCHEMES = ("https", "http", "root", "roots")


def _door(text: str) -> str:
    """Check the address of a door."""
    address = parse_address(text, _SCHEMES)
    if address.is_root and address.path and not address.path.startswith("//"):
        # root://host/store names a relative path, which servers refuse
        raise ValueError("needs two slashes before the path: root://HOST:PORT//PATH")
    return text


DoorAddress = Annotated[
    str,
    AfterValidator(_door),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(https?://[^\s/?#@]+(/[^\s?#]*)?|roots?://[^\s/?#@]+(//[^\s?#]*)?)$",
            "maxLength": MAX_LENGTH,
        }
    ),
]
"""``https://HOST/PATH`` (WebDAV) or ``root://HOST:PORT//PATH`` (XRootD)."""


class StorageDoor(Model):
    """One entrance to data, browsed and read with the user's own token."""

    name: Slug
    """Name for machines, part of the Lab's addresses."""

    title: Title
    """Name for people."""

    url: DoorAddress
    """Base address; paths in the data panel are below it. ``https://HOST/PATH`` is spoken to by
    WebDAV, ``root://HOST:PORT//PATH`` by XRootD (mind the two slashes before the path)."""

    audience: Slug
    """Name of the audience (section ``identity``) whose token the door accepts. What the token may
    do, its scope, stands there: several doors share one token."""

    @property
    def address(self) -> Address:
        """The address in its parts."""
        return parse_address(self.url, _SCHEMES)
