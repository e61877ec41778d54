"""The facility file as one typed value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field

from af_hub.compute.types import ComputeConfig
from af_hub.errors import ConfigError
from af_hub.facility.about import About
from af_hub.facility.base import Model
from af_hub.facility.cache import Cache
from af_hub.facility.identity import Identity
from af_hub.facility.kubernetes import Kubernetes
from af_hub.facility.limits import Limit
from af_hub.facility.profiles import Profile
from af_hub.facility.rucio import Rucio
from af_hub.facility.storage import StorageDoor
from af_hub.facility.xcache import XCache

if TYPE_CHECKING:
    from collections.abc import Collection


class FacilityConfig(Model):
    """One facility: what its administrator decides, without a single secret."""

    about: About = About()
    """Name, logo and links."""

    identity: Identity
    """The identity provider and the group rules."""

    profiles: Annotated[tuple[Profile, ...], Field(max_length=200)] = ()
    """What a user can start. Empty: nobody can start anything."""

    limits: Annotated[tuple[Limit, ...], Field(max_length=100)] = ()
    """How much may run at the same time, over all profiles. All of them hold."""

    storage: Annotated[tuple[StorageDoor, ...], Field(max_length=100)] = ()
    """Where the data is."""

    cache: Cache = Cache()
    """How the addresses of replicas lead to the cache."""

    rucio: Rucio | None = None
    """The experiment's data catalogue; null: none."""

    xcache: XCache | None = None
    """The facility's own cache in front of the experiment's federation; null: none, or not
    configured from here."""

    compute: ComputeConfig = ComputeConfig()
    """Dask clusters."""

    kubernetes: Kubernetes | None = None
    """Labs in pods; null: this facility is no cluster."""

    def require_xcache(self) -> XCache:
        """Return the section ``xcache``.

        Raises
        ------
        ConfigError
            ``no-xcache`` if the file has none.
        """
        if self.xcache is None:
            raise ConfigError(
                "no-xcache", "The facility file has no section xcache: say there what to cache."
            )
        return self.xcache

    def doors_of_the_cache(self) -> tuple[StorageDoor, ...]:
        """List the storage doors that lead to the facility's own XCache."""
        names = () if self.xcache is None else self.xcache.doors
        return tuple(door for door in self.storage if door.name in names)

    def without_doors(self, names: Collection[str]) -> Self:
        """Leave out storage doors, and the cache rules that lead to nothing else.

        Parameters
        ----------
        names
            Names of doors, for example of a cache that cannot be started here.

        Raises
        ------
        ConfigError
            ``unknown-door`` if there is no door of that name.
        """
        if unknown := sorted(set(names) - {door.name for door in self.storage}):
            raise ConfigError("unknown-door", f"There is no storage door {unknown[0]!r}.")
        kept = tuple(door for door in self.storage if door.name not in names)
        gone = {door.address.place for door in self.storage} - {door.address.place for door in kept}
        rules = tuple(rule for rule in self.cache.rules if rule.target.place not in gone)
        xcache = self.xcache
        if xcache is not None and set(xcache.doors) <= set(names):
            https = xcache.https_address
            rules = tuple(
                rule for rule in rules if https is None or rule.target.place != https.place
            )
            xcache = None
        changes = {"storage": kept, "cache": Cache(rules=rules), "xcache": xcache}
        return self.model_copy(update=changes)
