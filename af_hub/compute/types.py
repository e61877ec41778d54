"""Cluster types: what the ``compute`` section of the facility file means. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from af_hub.compute.quota import Limits
from af_hub.compute.sizes import LifetimeConfig, ScaleConfig, Section, WorkerConfig
from af_hub.iam.groups import check_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$")]
"""A short name that is safe in paths, labels and host names (at most 32 characters)."""

Group = Annotated[str, AfterValidator(check_pattern)]
"""``/cms`` (exactly), ``/cms/*`` (one level below), ``/cms/**`` (any level below)."""

Folder = Annotated[str, Field(pattern=r"^/[^\x00-\x1f]*$", max_length=1000)]
"""An absolute path."""

BACKENDS: dict[str, str] = {"local": "local", "in-lab": "in_lab"}
"""Backends, and what the section of each is called in a type."""


class Image(Section):
    """One software environment that users may choose by its name."""

    name: Slug = Field(description="What the browser sends; never a path or an address.")
    title: str = Field("", max_length=80, description="What the dialog shows; empty = the name.")
    environment: Folder | None = Field(
        None,
        description="Backend local: folder of a Python environment with dask-gateway and "
        "distributed; null = the gateway's own.",
    )


class Images(Section):
    """The software that scheduler and workers run."""

    default: Slug = Field(description="Name of the choice that is taken unless asked otherwise.")
    choices: tuple[Image, ...] = Field(
        min_length=1, max_length=100, description="What can be chosen, in the dialog's order."
    )

    @model_validator(mode="after")
    def _named(self) -> Self:
        _check_differ((one.name for one in self.choices), "images")
        if self.find(self.default) is None:
            raise ValueError(f"default: there is no choice {self.default!r}")
        return self

    def find(self, name: str) -> Image | None:
        """Return the choice of this name, or None."""
        return next((one for one in self.choices if one.name == name), None)


class LocalSection(Section):
    """Backend local: scheduler and workers are processes of the gateway's machine."""

    gpus: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")], ...] = Field(
        (),
        max_length=64,
        description="Devices that workers get, as CUDA_VISIBLE_DEVICES names them; each is given "
        "to one worker at a time.",
    )


class InLabSection(Section):
    """Backend in-lab: the cluster lives in the user's own server, made by a class."""

    factory: str = Field(
        "dask.distributed:LocalCluster",
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$",
        max_length=200,
        description="Class that makes the cluster, module:Class; the kernel's Python imports it.",
    )
    kwargs: dict[str, JsonValue] = Field(
        {}, description="Arguments of the class beside those of the dialog; no secret."
    )


class ClusterToken(Section):
    """Which token schedulers and workers get on the user's behalf."""

    audience: Slug = Field(description="Name of one of identity.audiences.")


class ClusterType(Section):
    """One kind of Dask cluster that users can make."""

    name: Slug = Field(description="Short name, used by the API and in code.")
    title: str = Field(min_length=1, max_length=80, description="What the dialog shows.")
    site: str = Field("", max_length=80, description="Where it runs, as the dialog shows it.")
    description: str = Field("", max_length=500, description="One or two sentences for the dialog.")
    backend: Literal["local", "in-lab"] = Field(
        description="Which engine starts scheduler and workers."
    )
    allowed_groups: tuple[Group, ...] = Field(
        (), description="Group patterns such as /cms/**; empty = everybody who may log in."
    )
    images: Images | None = Field(
        None, description="Software to choose from; null = the backend's own."
    )
    worker: WorkerConfig = Field(WorkerConfig(), description="Size of one worker.")
    scale: ScaleConfig = Field(ScaleConfig(), description="Number of workers.")
    lifetime: LifetimeConfig = Field(LifetimeConfig(), description="When a cluster ends by itself.")
    token: ClusterToken | None = Field(
        None, description="Token for schedulers and workers; null = they get none."
    )
    local: LocalSection | None = Field(
        None, description="Settings of the backend local; null = its defaults."
    )
    in_lab: InLabSection | None = Field(
        None, description="Settings of the backend in-lab; null = its defaults."
    )

    @model_validator(mode="after")
    def _one_section(self) -> Self:
        for backend, section in BACKENDS.items():
            if backend != self.backend and getattr(self, section) is not None:
                raise ValueError(
                    f"{section} belongs to the backend {backend}, and this type's backend is "
                    f"{self.backend}"
                )
        return self

    @model_validator(mode="after")
    def _fits_backend(self) -> Self:
        if self.backend == "in-lab":
            if self.token is not None:
                raise ValueError("token: clusters in the user's server have the Lab's own tokens")
            if self.images is not None:
                raise ValueError("images: clusters in the user's server run the server's software")
        elif self.worker.gpus.max > len((self.local or LocalSection()).gpus):
            raise ValueError("worker.gpus.max is more than local.gpus names")
        return self

    @property
    def in_users_server(self) -> bool:
        """Tell whether clusters live in the user's own server: the gateway never sees them."""
        return self.backend == "in-lab"


class QuotaConfig(Section):
    """How much users and groups may have at a time, over all types but those in-lab."""

    user: Limits = Field(Limits(), description="Limits of each user.")
    groups: dict[Group, Limits] = Field(
        {},
        description="Limits of all members together, by group pattern. A cluster counts for the "
        "first pattern that its user's groups fit when it is made.",
    )


class GatewayAddress(Section):
    """Where Labs reach Dask Gateway."""

    address: str = Field(
        pattern=r"^https?://[^\s]+$", description="URL of the gateway's API as seen from a Lab."
    )
    proxy_address: str = Field(
        pattern=r"^(gateway|tls)://[^\s/]+:[0-9]{1,5}$",
        description="Address of the gateway's scheduler proxy as seen from a Lab, gateway://HOST:PORT.",
    )


class ComputeConfig(Section):
    """The ``compute`` section of the facility file."""

    gateway: GatewayAddress | None = Field(
        None, description="The Dask Gateway of the facility; null = no Dask clusters."
    )
    types: tuple[ClusterType, ...] = Field(
        (), description="Kinds of clusters, in the dialog's order."
    )
    quotas: QuotaConfig = Field(
        QuotaConfig(), description="How much users and groups may have at a time."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        _check_differ((one.name for one in self.types), "cluster types")
        return self

    def find(self, name: str) -> ClusterType | None:
        """Return the type of this name, or None."""
        return next((one for one in self.types if one.name == name), None)


def _check_differ(names: Iterable[str], what: str) -> None:
    names = list(names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} need different names, given twice: {', '.join(twice)}")
