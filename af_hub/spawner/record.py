"""What a hub remembers of a running Lab, so that a restarted hub finds it again. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from af_hub.spawner.ends.rules import Limits
from af_hub.spawner.policy.plan import NVIDIA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from af_hub.spawner.policy.plan import Plan

_TUPLES = ("cores", "gpus", "groups")


@dataclass(frozen=True, slots=True)
class Record:
    """One running Lab.

    Parameters
    ----------
    server
        Value of ``AF_SERVER`` in the environment of everything that the Lab starts.
    profile
        Name of the profile it was started with.
    started_at
        Seconds since 1970.
    lifetime
        Seconds after which it is stopped; 0 means never.
    cores
        Numbers of its cores.
    gpus
        Identifiers of its graphics processors.
    process
        Mark of its first process (`af_hub.spawner.local.processes.start_mark`); empty before the start.
    groups
        Groups of the user for which it counts.
    cpu, ram, gpu, gpu_product, gpu_resource
        What it was granted; see `af_hub.spawner.policy.site.Running`.
    idle, gpu_idle
        Seconds without activity, and without work on its devices, after which it is stopped; 0 means
        never. Not there in what an older hub has written.
    """

    server: str
    profile: str
    started_at: int
    lifetime: int
    cores: tuple[int, ...]
    gpus: tuple[str, ...]
    process: str = ""
    groups: tuple[str, ...] = ()
    cpu: int = 0
    ram: int = 0
    gpu: int = 0
    gpu_product: str | None = None
    gpu_resource: str = NVIDIA
    idle: int = 0
    gpu_idle: int = 0

    @classmethod
    def of(cls, plan: Plan, **given: Any) -> Record:
        """Remember what a plan grants.

        Parameters
        ----------
        plan
            The plan.
        **given
            The other fields.
        """
        return cls(
            profile=plan.profile,
            lifetime=int(plan.max_lifetime or 0),
            groups=plan.groups,
            cpu=plan.cpu,
            ram=plan.ram,
            gpu=plan.gpu,
            gpu_product=plan.gpu_product,
            gpu_resource=plan.gpu_resource,
            idle=int(plan.idle_timeout or 0),
            gpu_idle=int(plan.gpu_idle_timeout or 0) if plan.gpu else 0,
            **given,
        )

    @property
    def expires_at(self) -> int | None:
        """When it is stopped, in seconds since 1970; None: never."""
        return self.started_at + self.lifetime if self.lifetime else None

    @property
    def limits(self) -> Limits:
        """What ends it by itself."""
        return Limits(self.started_at, self.lifetime, self.idle, self.gpu_idle)

    def to_state(self) -> dict[str, Any]:
        """Return it as JSON, for the hub's database."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _TUPLES}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Record:
        """Read what `to_state` returned."""
        return cls(**{**state, **{name: tuple(state.get(name, ())) for name in _TUPLES}})
