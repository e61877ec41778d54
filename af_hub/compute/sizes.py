"""Ranges of sizes and numbers in a cluster type: default, least and most. Pure."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from af_hub.quantities import Bytes, Seconds

MIB = 1024**2
"""Bytes in a mebibyte."""


class Section(BaseModel):
    """A frozen part of the facility file's ``compute``. Unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CoreRange(Section):
    """Cores of one worker: what the dialog offers."""

    default: int = Field(1, ge=1, le=1024, description="Cores of a worker unless asked otherwise.")
    min: int = Field(1, ge=1, le=1024, description="Fewest cores of a worker.")
    max: int = Field(1, ge=1, le=1024, description="Most cores of a worker.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.min, self.default, self.max)
        return self


class MemoryRange(Section):
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


class GpuRange(Section):
    """GPUs of one worker: what the dialog offers; it asks only if more than none can be had."""

    default: int = Field(0, ge=0, le=64, description="GPUs of a worker unless asked otherwise.")
    min: int = Field(0, ge=0, le=64, description="Fewest GPUs of a worker.")
    max: int = Field(0, ge=0, le=64, description="Most GPUs of a worker.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.min, self.default, self.max)
        return self


def _check_order(lowest: int, default: int, highest: int) -> None:
    if not lowest <= default <= highest:
        raise ValueError("needs min <= default <= max")


class WorkerConfig(Section):
    """Size of one worker."""

    cores: CoreRange = Field(CoreRange(), description="Cores of one worker.")
    memory: MemoryRange = Field(MemoryRange(), description="Memory of one worker.")
    gpus: GpuRange = Field(GpuRange(), description="GPUs of one worker.")


class AdaptiveScale(Section):
    """A number of workers that follows the work."""

    minimum: int = Field(0, ge=0, le=100_000, description="Fewest workers.")
    maximum: int = Field(ge=1, le=100_000, description="Most workers.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError("needs minimum <= maximum")
        return self


class ScaleConfig(Section):
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


class LifetimeConfig(Section):
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
