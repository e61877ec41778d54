"""Who may use something: groups that are allowed, groups that are not."""

from __future__ import annotations

from af_hub.facility.base import GroupPattern, Model


class Access(Model):
    """What may be restricted to groups."""

    allowed_groups: tuple[GroupPattern, ...] = ()
    """Who sees and may choose it; empty: everybody who sees what it stands in."""

    denied_groups: tuple[GroupPattern, ...] = ()
    """Who does not see it, even if allowed above."""
