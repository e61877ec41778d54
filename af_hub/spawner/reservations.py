"""Who has which cores and graphics processors of this machine. Pure.

The hub is one process and reserves without waiting in between, so two starts never get the same
device. After a restart the book is filled again from the states of the running servers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from af_hub.spawner.site import GpuModel, Site

if TYPE_CHECKING:
    from af_hub.spawner.resources import GpuDevice, Machine


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one server holds.

    Parameters
    ----------
    profile
        Name of its profile.
    user
        Name of its user.
    cores
        Numbers of the cores it runs on; others may run there, too.
    gpus
        Identifiers of its devices; nobody else has them.
    """

    profile: str
    user: str
    cores: tuple[int, ...] = ()
    gpus: tuple[str, ...] = ()


@dataclass(slots=True)
class Book:
    """All reservations of one machine, by server.

    Parameters
    ----------
    entries
        Server's key to what it holds.
    """

    entries: dict[str, Reservation] = field(default_factory=dict)

    def site(self, machine: Machine, *, without: str = "") -> Site:
        """Describe what is there and what is free, not counting what one server holds."""
        taken = self._taken_gpus(without)
        products = dict.fromkeys(gpu.product for gpu in machine.gpus)
        return Site(
            cores=len(machine.cores),
            memory=machine.memory,
            gpus=tuple(_count(product, machine.gpus, taken) for product in products),
        )

    def counts(self, user: str | None = None, *, without: str = "") -> dict[str, int]:
        """Count running servers per profile, of one user or of all."""
        return dict(
            Counter(
                entry.profile
                for key, entry in self.entries.items()
                if key != without and user in {None, entry.user}
            )
        )

    def reserve(
        self,
        key: str,
        machine: Machine,
        *,
        profile: str,
        user: str,
        cores: int,
        gpus: int,
        product: str | None,
    ) -> Reservation:
        """Write down what a server gets: the least used cores, and free devices.

        Parameters
        ----------
        key
            The server's key; what it held before is given back.
        machine
            What there is.
        profile, user
            Names, for counting.
        cores, gpus
            How many; the policy has checked that there are as many.
        product
            Model of the devices; None takes any.

        Returns
        -------
        Reservation
            The entry.
        """
        self.release(key)
        load = Counter(core for entry in self.entries.values() for core in entry.cores)
        chosen = sorted(machine.cores, key=lambda core: (load[core], core))[:cores]
        taken = self._taken_gpus("")
        free = [
            gpu.identifier
            for gpu in machine.gpus
            if gpu.identifier not in taken and product in {None, gpu.product}
        ]
        entry = Reservation(profile, user, tuple(sorted(chosen)), tuple(free[:gpus]))
        self.entries[key] = entry
        return entry

    def release(self, key: str) -> None:
        """Give back what a server holds; nothing happens if it holds nothing."""
        self.entries.pop(key, None)

    def _taken_gpus(self, without: str) -> set[str]:
        return {gpu for key, entry in self.entries.items() if key != without for gpu in entry.gpus}


def _count(product: str, gpus: tuple[GpuDevice, ...], taken: set[str]) -> GpuModel:
    """Count the devices of a product."""
    mine = [gpu for gpu in gpus if gpu.product == product]
    return GpuModel(product, len(mine), sum(gpu.identifier not in taken for gpu in mine))
