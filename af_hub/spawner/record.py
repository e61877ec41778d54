"""What a hub remembers of a running Lab, so that a restarted hub finds it again. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        Mark of its first process (`af_hub.spawner.processes.start_mark`); empty before the start.
    """

    server: str
    profile: str
    started_at: int
    lifetime: int
    cores: tuple[int, ...]
    gpus: tuple[str, ...]
    process: str = ""

    @property
    def expires_at(self) -> int | None:
        """When it is stopped, in seconds since 1970; None: never."""
        return self.started_at + self.lifetime if self.lifetime else None

    def to_state(self) -> dict[str, Any]:
        """Return it as JSON, for the hub's database."""
        return asdict(self) | {"cores": list(self.cores), "gpus": list(self.gpus)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Record:
        """Read what `to_state` returned."""
        return cls(**{**state, "cores": tuple(state["cores"]), "gpus": tuple(state["gpus"])})
