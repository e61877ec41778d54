"""What the place where Labs run has. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


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
    """

    product: str
    total: int
    free: int
    resource: str = "nvidia.com/gpu"


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
        One entry per product; None if nobody has counted.
    """

    cores: int | None = None
    memory: int | None = None
    gpus: tuple[GpuModel, ...] | None = ()

    def gpu_stock(self, product: str | None) -> GpuModel | None:
        """Sum up the devices of a product, of any if it is None; None if nobody has counted."""
        if self.gpus is None:
            return None
        chosen = [gpu for gpu in self.gpus if product is None or gpu.product == product]
        return GpuModel(
            product or "GPU", sum(gpu.total for gpu in chosen), sum(gpu.free for gpu in chosen)
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """How many servers run, per profile name, without the one that is asked for.

    Parameters
    ----------
    mine
        Of the user who asks.
    total
        Of everybody.
    """

    mine: dict[str, int] = field(default_factory=dict)
    total: dict[str, int] = field(default_factory=dict)
