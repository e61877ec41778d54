"""Section ``limits``: how much may run at the same time, over all profiles."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from af_hub.facility.base import GroupPattern, Model, Size

LIMITED: tuple[Literal["servers", "gpus", "cpu", "ram"], ...] = ("servers", "gpus", "cpu", "ram")
"""What a limit can count."""


class Limit(Model):
    """The most that running servers may hold together."""

    groups: tuple[GroupPattern, ...] = ()
    """Whom it concerns; empty: everybody."""

    per: Literal["user", "group", "total"]
    """Whose servers are counted together: those of one user; of all members of one group (each group
    that `groups` names or matches by itself); of everybody whom it concerns."""

    servers: Annotated[int, Field(ge=0)] | None = None
    """Running servers; null sets no limit."""

    gpus: Annotated[int, Field(ge=0)] | None = None
    """Graphics processors, parts of them (MIG) counted like whole ones; null sets no limit."""

    cpu: Annotated[int, Field(ge=0)] | None = None
    """Processor cores; null sets no limit."""

    ram: Size | None = None
    """Memory, in bytes or as ``512G``; null sets no limit."""

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if all(getattr(self, name) is None for name in LIMITED):
            raise ValueError("limits nothing: say servers, gpus, cpu or ram")
        if self.per == "group" and not self.groups:
            raise ValueError("a limit per group says which groups are counted")
        return self


class MaxConcurrent(Model):
    """How many servers of a profile may run at the same time."""

    per_user: Annotated[int, Field(ge=1)] | None = None
    """Running servers of one user; null sets no limit."""

    per_group: Annotated[int, Field(ge=1)] | None = None
    """Running servers of the members of one group, counted for each group that the profile's
    ``allowed_groups`` let in; null sets no limit."""

    total: Annotated[int, Field(ge=1)] | None = None
    """Running servers of all users; null sets no limit."""
