"""Section ``storage``: where the data is."""

from __future__ import annotations

from af_hub.facility.base import Model, Slug, Title, WebAddress


class StorageDoor(Model):
    """One entrance to data, browsed and read with the user's own token."""

    name: Slug
    """Name for machines, part of the Lab's addresses."""

    title: Title
    """Name for people."""

    url: WebAddress
    """Base address; paths in the data panel are below it."""

    audience: Slug
    """Name of the audience (section ``identity``) whose token the door accepts."""
