"""What the place where Labs run has, and what runs there. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from af_hub.spawner.policy.plan import NVIDIA

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


@dataclass(frozen=True, slots=True)
class GpuModel:
    """Graphics processors of one product.

    Parameters
    ----------
    product
        As the driver names it, for example ``NVIDIA A100-SXM4-40GB``.
    total
        Number of devices.
    free
        Number of devices that no server has reserved.
    resource
        Kubernetes resource name, for example ``nvidia.com/mig-1g.5gb`` for parts of devices.
    """

    product: str
    total: int
    free: int
    resource: str = NVIDIA


@dataclass(frozen=True, slots=True)
class Holder:
    """Devices that one server has, or one pod of others.

    Parameters
    ----------
    product, resource
        What they are; the product is empty while no node has taken the pod.
    owner
        Name of the hub's user, else the namespace of the pod.
    number
        How many.
    """

    product: str
    resource: str
    owner: str
    number: int


@dataclass(frozen=True, slots=True)
class Site:
    """Capacity at one moment.

    Parameters
    ----------
    cores
        Processor cores of the largest place; None if it is not known.
    memory
        Memory of the largest place, in bytes; None if it is not known.
    gpus
        One entry per product and resource; None if nobody has counted.
    queue
        Whether a start waits for devices that are not free, in place of a refusal.
    """

    cores: int | None = None
    memory: int | None = None
    gpus: tuple[GpuModel, ...] | None = ()
    queue: bool = False

    def gpu_stock(self, product: str | None, resource: str = NVIDIA) -> GpuModel | None:
        """Sum up the devices of a resource and a product, of any product if it is None.

        Returns
        -------
        GpuModel or None
            None if nobody has counted.
        """
        if self.gpus is None:
            return None
        chosen = [
            gpu for gpu in self.gpus if gpu.resource == resource and product in {None, gpu.product}
        ]
        return GpuModel(
            product or "GPU",
            sum(gpu.total for gpu in chosen),
            sum(gpu.free for gpu in chosen),
            resource,
        )


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs or starts, or several of others, and what they hold.

    Parameters
    ----------
    key
        ``user/server name``; empty if there are several.
    user
        Name of the user; empty if there are several.
    groups
        Groups of the user for which it counts: those that the catalogue named at its start.
    profile
        Name of the profile.
    cpu, ram, gpu
        Cores, bytes of memory and number of devices.
    gpu_product
        Model of the devices; None: any. Means nothing if there are several servers.
    gpu_resource
        Kubernetes resource name of the devices. Means nothing if there are several servers.
    servers
        How many they are.
    """

    key: str
    user: str
    groups: tuple[str, ...] = ()
    profile: str = ""
    cpu: int = 0
    ram: int = 0
    gpu: int = 0
    gpu_product: str | None = None
    gpu_resource: str = NVIDIA
    servers: int = 1

    def amount(self, what: str) -> int:
        """Return how much it holds of ``servers``, ``gpus``, ``cpu`` or ``ram``."""
        return {"servers": self.servers, "gpus": self.gpu, "cpu": self.cpu, "ram": self.ram}[what]


@dataclass(frozen=True, slots=True)
class Usage:
    """What runs, without the server that is asked for.

    Parameters
    ----------
    running
        The servers of everybody; those of others may be summed up by profile and groups.
    user
        Name of the user who asks.
    """

    running: tuple[Running, ...] = ()
    user: str = ""

    def select(
        self,
        *,
        mine: bool = False,
        profile: str | None = None,
        groups: Collection[str] | None = None,
    ) -> Iterator[Running]:
        """Choose servers.

        Parameters
        ----------
        mine
            Only those of the user who asks.
        profile
            Only those of this profile; None: of any.
        groups
            Only those that count for one of these groups; None: all.

        Yields
        ------
        Running
            The servers.
        """
        for each in self.running:
            if (
                (not mine or each.user == self.user)
                and profile in {None, each.profile}
                and (groups is None or not set(groups).isdisjoint(each.groups))
            ):
                yield each
