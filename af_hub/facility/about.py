"""Section ``about``: what the facility is called and how it looks."""

from __future__ import annotations

from af_hub.facility.base import FilePath, Link, Model, Text, Title


class About(Model):
    """Name, logo and links of the facility, shown on the hub's pages and in the Lab."""

    name: Title = "Analysis facility"
    """Name of the facility, one line."""

    logo: FilePath | None = None
    """Image file (SVG or PNG) shown at the top left of the hub's pages; null keeps JupyterHub's."""

    support: Link | None = None
    """Where users get help: an https or mailto address."""

    notice: Text | None = None
    """Plain text shown above every page of the hub, for example a planned downtime."""

    aup: Link | None = None
    """Address of the acceptable-use policy."""
