"""Who has which cores and graphics processors of this machine. Pure.

The hub is one process and reserves without waiting in between, so two starts never get the same
device. After a restart the book is filled again from the states of the running servers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from af_hub.spawner.policy.plan import NVIDIA
from af_hub.spawner.policy.site import GpuModel, Running, Site, Usage
from af_hub.spawner.policy.totals import Totals

if TYPE_CHECKING:
    from af_hub.spawner.local.resources import GpuDevice, Machine
    from af_hub.spawner.policy.plan import Plan
    from af_hub.spawner.record import Record


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
    groups
        Groups of the user for which it counts.
    cpu, ram, gpu, gpu_product, gpu_resource
        What it was granted; see `Running`.
    """

    profile: str
    user: str
    cores: tuple[int, ...] = ()
    gpus: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    cpu: int = 0
    ram: int = 0
    gpu: int = 0
    gpu_product: str | None = None
    gpu_resource: str = NVIDIA

    @classmethod
    def of(cls, holder: Plan | Record, user: str, **given: tuple[Any, ...]) -> Reservation:
        """Write down what a plan grants, or what a restarted hub remembers of it.

        Parameters
        ----------
        holder
            Plan or record.
        user
            Name of the user.
        **given
            ``cores`` and ``gpus`` that were chosen on this machine.
        """
        return cls(
            profile=holder.profile,
            user=user,
            groups=holder.groups,
            cpu=holder.cpu,
            ram=holder.ram,
            gpu=holder.gpu,
            gpu_product=holder.gpu_product,
            gpu_resource=holder.gpu_resource,
            **given,
        )

    def running(self, key: str) -> Running:
        """Say it as the policy counts it."""
        return Running(
            key=key,
            user=self.user,
            groups=self.groups,
            profile=self.profile,
            cpu=self.cpu,
            ram=self.ram,
            gpu=self.gpu,
            gpu_product=self.gpu_product,
            gpu_resource=self.gpu_resource,
        )


@dataclass(slots=True)
class Book:
    """All reservations of one machine, by server.

    Parameters
    ----------
    entries
        Server's key to what it holds; changed by `write` and `release` only.
    """

    entries: dict[str, Reservation] = field(default_factory=dict)
    version: int = field(default=0, init=False)
    """Grows with each change."""
    _totals: Totals = field(default_factory=Totals, init=False)

    def site(self, machine: Machine, *, without: str = "") -> Site:
        """Describe what is there and what is free, not counting what one server holds."""
        taken = self._taken_gpus(without)
        products = dict.fromkeys(gpu.product for gpu in machine.gpus)
        return Site(
            cores=len(machine.cores),
            memory=machine.memory,
            gpus=tuple(_count(product, machine.gpus, taken) for product in products),
        )

    def usage(self, user: str, *, without: str = "") -> Usage:
        """Say what runs, for the policy.

        Parameters
        ----------
        user
            Name of the user who asks.
        without
            Key of a server of this user to leave out.
        """
        mine = (each for each in self._totals.of(user) if each.key != without)
        return Usage((*mine, *self._totals.besides(user)), user)

    def running(self) -> tuple[Running, ...]:
        """List all servers, one by one."""
        return tuple(self._totals.each())

    def holds(self, user: str) -> bool:
        """Tell whether a server of the user runs or starts."""
        return bool(self._totals.of(user))

    def write(self, key: str, entry: Reservation) -> None:
        """Write down what a server holds; what it held before is given back."""
        self.release(key)
        self.entries[key] = entry
        self._totals.add(entry.running(key))
        self.version += 1

    def reserve(self, key: str, machine: Machine, plan: Plan, user: str) -> Reservation:
        """Write down what a server gets: the least used cores, and free devices.

        Parameters
        ----------
        key
            The server's key; what it held before is given back.
        machine
            What there is.
        plan
            What was granted; the policy has checked that there is as much.
        user
            Name of the user, for counting.

        Returns
        -------
        Reservation
            The entry.
        """
        self.release(key)
        load = Counter(core for entry in self.entries.values() for core in entry.cores)
        chosen = sorted(machine.cores, key=lambda core: (load[core], core))[: plan.cpu]
        taken = self._taken_gpus("")
        free = [
            gpu.identifier
            for gpu in machine.gpus
            if gpu.identifier not in taken and plan.gpu_product in {None, gpu.product}
        ]
        entry = Reservation.of(
            plan, user, cores=tuple(sorted(chosen)), gpus=tuple(free[: plan.gpu])
        )
        self.write(key, entry)
        return entry

    def release(self, key: str) -> None:
        """Give back what a server holds; nothing happens if it holds nothing."""
        entry = self.entries.pop(key, None)
        if entry is not None:
            self._totals.remove(entry.running(key))
            self.version += 1

    def _taken_gpus(self, without: str) -> set[str]:
        return {gpu for key, entry in self.entries.items() if key != without for gpu in entry.gpus}


def _count(product: str, gpus: tuple[GpuDevice, ...], taken: set[str]) -> GpuModel:
    """Count the devices of a product."""
    mine = [gpu for gpu in gpus if gpu.product == product]
    return GpuModel(product, len(mine), sum(gpu.identifier not in taken for gpu in mine))
