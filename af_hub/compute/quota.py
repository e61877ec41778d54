"""How much users and groups may have at a time, and what is said when it is used up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from af_hub.compute.sizes import Section
from af_hub.quantities import Bytes, format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

Resource = Literal["clusters", "workers", "cores", "memory", "gpus"]
RESOURCES: tuple[Resource, ...] = ("clusters", "workers", "cores", "memory", "gpus")
"""What is counted. A cluster counts as one, its scheduler as nothing, its workers as what they may
use: `memory` in bytes."""


class Limits(Section):
    """The most that may be in use at a time; null = no limit."""

    clusters: int | None = Field(None, ge=0, description="Clusters that are not shut down.")
    workers: int | None = Field(None, ge=0, description="Workers of all clusters together.")
    cores: int | None = Field(None, ge=0, description="Cores of all workers.")
    memory: Bytes | None = Field(None, ge=0, description="Memory of all workers, such as 256G.")
    gpus: int | None = Field(None, ge=0, description="GPUs of all workers.")

    def of(self, resource: Resource) -> int | None:
        """Return the limit of one resource, None if there is none."""
        limit: int | None = getattr(self, resource)
        return limit


NO_LIMITS = Limits()
"""Of whoever the facility file does not name."""


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of everything that is counted.

    Parameters
    ----------
    clusters, workers, cores, gpus
        Numbers.
    memory
        Bytes.
    """

    clusters: int = 0
    workers: int = 0
    cores: int = 0
    memory: int = 0
    gpus: int = 0

    def __add__(self, other: Amount) -> Amount:
        """Add."""
        return self.plus(other, 1)

    def plus(self, other: Amount, times: int) -> Amount:
        """Add another amount so many times; negative takes away."""
        return Amount(*(self.of(name) + times * other.of(name) for name in RESOURCES))

    def of(self, resource: Resource) -> int:
        """Return the amount of one resource."""
        amount: int = getattr(self, resource)
        return amount


NOTHING = Amount()
"""What somebody without a cluster has."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whose usage is counted.

    Parameters
    ----------
    scope
        One user, or all members of a group.
    name
        Name of the user at the hub, or pattern of the group in the facility file.
    """

    scope: Literal["user", "group"]
    name: str


@dataclass(frozen=True, slots=True)
class Balance:
    """An account as it stands.

    Parameters
    ----------
    account
        Whose.
    limits
        What the facility allows.
    used
        What is in use.
    """

    account: Account
    limits: Limits
    used: Amount

    def room(self, one: Amount) -> tuple[int | None, Resource | None]:
        """Tell how often `one` still fits, and which resource says so; None: without end."""
        fewest: int | None = None
        tightest: Resource | None = None
        for resource in RESOURCES:
            limit, each = self.limits.of(resource), one.of(resource)
            if limit is None or not each:
                continue
            # lowered limits leave less than nothing
            fits = max(limit - self.used.of(resource), 0) // each
            if fewest is None or fits < fewest:
                fewest, tightest = fits, resource
        return fewest, tightest

    def as_json(self) -> list[dict[str, Any]]:
        """Return what the dialog shows: one object for each resource with a limit."""
        return [
            {
                "scope": self.account.scope,
                "name": self.account.name,
                "resource": resource,
                "used": self.used.of(resource),
                "limit": limit,
                "unit": "bytes" if resource == "memory" else "",
            }
            for resource in RESOURCES
            if (limit := self.limits.of(resource)) is not None
        ]


@dataclass(frozen=True, slots=True)
class Shortage:
    """A quota that does not allow what was asked for.

    Parameters
    ----------
    account
        Whose.
    resource
        What there is too little of.
    used, limit
        As it stands.
    fits
        How many of the wanted clusters or workers could be started.
    """

    account: Account
    resource: Resource
    used: int
    limit: int
    fits: int

    @property
    def sentence(self) -> str:
        """Say it to the user."""
        whose = "Your quota" if self.account.scope == "user" else self.account.name
        used, limit = str(self.used), str(self.limit)
        if self.resource == "memory":
            used, limit = format_bytes(self.used), format_bytes(self.limit)
        what = "GPUs" if self.resource == "gpus" else self.resource
        begin = f"{whose}: {used} of {limit} {what} in use; "
        if self.resource == "clusters":
            return begin + "shut one down first."
        if not self.fits:
            return begin + "you can start none now."
        return begin + f"you can start {self.fits} worker{'s' if self.fits > 1 else ''}."


def granted(balances: Iterable[Balance], one: Amount, wanted: int) -> tuple[int, Shortage | None]:
    """Tell how many of `wanted` may be started.

    Parameters
    ----------
    balances
        Of everybody for whom it counts.
    one
        What a single one takes.
    wanted
        How many are asked for.

    Returns
    -------
    tuple of (int, Shortage or None)
        At most `wanted`; if fewer, the quota that is the tightest.
    """
    count, shortage = wanted, None
    for balance in balances:
        fits, resource = balance.room(one)
        if fits is not None and resource is not None and fits < count:
            limit = balance.limits.of(resource) or 0
            count = fits
            used = balance.used.of(resource)
            shortage = Shortage(balance.account, resource, used, limit, fits)
    return count, shortage
