"""Cluster types: what the ``compute`` section of the facility file means. Pure."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from af_hub.quantities import Bytes, Seconds

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$")]
"""A short name that is safe in paths, labels and host names (at most 32 characters)."""

MIB = 1024**2
"""Bytes in a mebibyte."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CoreRange(_Model):
    """Cores of one worker: what the dialog offers."""

    default: int = Field(1, ge=1, le=1024, description="Cores of a worker unless asked otherwise.")
    min: int = Field(1, ge=1, le=1024, description="Fewest cores of a worker.")
    max: int = Field(1, ge=1, le=1024, description="Most cores of a worker.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.min, self.default, self.max)
        return self


class MemoryRange(_Model):
    """Memory of one worker: what the dialog offers."""

    default: Bytes = Field(
        1024 * MIB,
        ge=64 * MIB,
        description="Memory of a worker unless asked otherwise: bytes, or such as 1G.",
    )
    min: Bytes = Field(
        512 * MIB, ge=64 * MIB, description="Least memory of a worker: bytes, or such as 512M."
    )
    max: Bytes = Field(
        1024 * MIB, ge=64 * MIB, description="Most memory of a worker: bytes, or such as 4G."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.min, self.default, self.max)
        return self


def _check_order(lowest: int, default: int, highest: int) -> None:
    if not lowest <= default <= highest:
        raise ValueError("needs min <= default <= max")


class WorkerConfig(_Model):
    """Size of one worker."""

    cores: CoreRange = Field(CoreRange(), description="Cores of one worker.")
    memory: MemoryRange = Field(MemoryRange(), description="Memory of one worker.")


class AdaptiveScale(_Model):
    """A number of workers that follows the work."""

    minimum: int = Field(0, ge=0, le=100_000, description="Fewest workers.")
    maximum: int = Field(ge=1, le=100_000, description="Most workers.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError("needs minimum <= maximum")
        return self


class ScaleConfig(_Model):
    """How many workers a cluster has."""

    default: int | AdaptiveScale = Field(
        2, description="Workers the dialog proposes: a number, or {minimum, maximum} for adaptive."
    )
    max: int = Field(2, ge=1, le=100_000, description="Most workers of one cluster.")

    @model_validator(mode="after")
    def _within(self) -> Self:
        proposed = self.default if isinstance(self.default, int) else self.default.maximum
        if not 0 <= proposed <= self.max:
            raise ValueError("needs 0 <= default <= max")
        return self


class LifetimeConfig(_Model):
    """When a cluster ends by itself."""

    idle: Seconds = Field(
        1800.0,
        ge=0,
        description="Ends after this long without work: seconds, or such as 30m; 0 = never.",
    )
    max: Seconds = Field(
        86400.0,
        ge=0,
        description="Ends at this age in any case: seconds, or such as 24h; 0 = never.",
    )


class ClusterToken(_Model):
    """Which token schedulers and workers get on the user's behalf."""

    audience: Slug = Field(description="Name of one of identity.audiences.")


class ClusterType(_Model):
    """One kind of Dask cluster that users can make."""

    name: Slug = Field(description="Short name, used by the API and in code.")
    title: str = Field(min_length=1, max_length=80, description="What the dialog shows.")
    description: str = Field("", max_length=500, description="One or two sentences for the dialog.")
    backend: Literal["local"] = Field(description="Which engine starts scheduler and workers.")
    allowed_groups: tuple[str, ...] = Field(
        (), description="Group patterns such as /cms/**; empty = everybody who may log in."
    )
    worker: WorkerConfig = Field(WorkerConfig(), description="Size of one worker.")
    scale: ScaleConfig = Field(ScaleConfig(), description="Number of workers.")
    lifetime: LifetimeConfig = Field(LifetimeConfig(), description="When a cluster ends by itself.")
    token: ClusterToken | None = Field(
        None, description="Token for schedulers and workers; null = they get none."
    )


class GatewayAddress(_Model):
    """Where Labs reach Dask Gateway."""

    address: str = Field(
        pattern=r"^https?://[^\s]+$", description="URL of the gateway's API as seen from a Lab."
    )
    proxy_address: str = Field(
        pattern=r"^(gateway|tls)://[^\s/]+:[0-9]{1,5}$",
        description="Address of the gateway's scheduler proxy as seen from a Lab, gateway://HOST:PORT.",
    )


class ComputeConfig(_Model):
    """The ``compute`` section of the facility file."""

    gateway: GatewayAddress | None = Field(
        None, description="The Dask Gateway of the facility; null = no Dask clusters."
    )
    types: tuple[ClusterType, ...] = Field(
        (), description="Kinds of clusters, in the dialog's order."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [one.name for one in self.types]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"cluster types need different names, given twice: {', '.join(twice)}")
        return self

    def find(self, name: str) -> ClusterType | None:
        """Return the type of this name, or None."""
        return next((one for one in self.types if one.name == name), None)
