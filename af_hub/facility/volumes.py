"""Volumes that a profile brings along beside the home folder."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from af_hub.facility.access import Access
from af_hub.facility.base import ObjectName, Size

_OURS: Final = ("/run", "/etc", "/proc", "/sys", "/dev", "/usr", "/bin", "/sbin", "/lib", "/lib64")
_HOME: Final = "/home/jovyan"


def _free_place(path: str) -> str:
    """Refuse places that would hide the Lab, its home or its tokens."""
    if path == _HOME or _HOME.startswith(f"{path}/"):
        raise ValueError("would hide the home folder")
    if any(path == place or path.startswith(f"{place}/") for place in _OURS):
        raise ValueError(f"must not be in {', '.join(_OURS)}")
    if any(part in {".", ".."} for part in path.split("/")):
        raise ValueError("holds . or ..")
    return path


MountPath = Annotated[
    str,
    StringConstraints(pattern=r"^(/[A-Za-z0-9._-]+)+$", max_length=200),
    AfterValidator(_free_place),
]
"""Where a volume appears in the Lab: an absolute path."""


def _inside(path: str) -> str:
    """Refuse paths that lead out of the volume."""
    if any(part in {".", ".."} for part in path.split("/")):
        raise ValueError("holds . or ..")
    return path


SubPath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", max_length=200),
    AfterValidator(_inside),
]
"""A folder inside a volume."""

_ALLOWED: Final = {
    "cvmfs": {"claim", "path", "sub_path"},
    "shared": {"claim", "path", "sub_path", "read_only"},
    "s3": {"claim", "path", "sub_path", "read_only"},
    "scratch": {"path", "size", "storage_class", "in_memory"},
}
_NEEDED: Final = {"cvmfs": set(), "shared": {"claim", "path"}, "s3": {"claim", "path"}}
_PLACES: Final = {"cvmfs": "/cvmfs", "scratch": "/scratch"}


class Volume(Access):
    """A volume in pods; who is not in its groups gets the profile without it.

    On one machine Labs see the machine's own folders, whatever stands here.
    """

    kind: Literal["cvmfs", "shared", "s3", "scratch"]
    """``cvmfs`` (software, read-only), ``shared`` (a file system that many pods mount), ``s3`` (a
    bucket through a storage driver) or ``scratch`` (empty at the start, gone with the server)."""

    claim: ObjectName | None = None
    """PersistentVolumeClaim in the namespace of the Labs; for `cvmfs` ``cvmfs`` if not set."""

    path: MountPath | None = None
    """Where it appears, for example ``/data/cms``; ``/cvmfs`` and ``/scratch`` if not set."""

    sub_path: SubPath | None = None
    """Folder of the volume that appears there; null: all of it."""

    read_only: bool = False
    """Nobody can write to it. `cvmfs` always is."""

    size: Annotated[Size, Field(ge=1024**2)] | None = None
    """Size of a scratch volume, for example ``50G``; a pod that fills more is ended by the cluster."""

    storage_class: ObjectName | None = None
    """Make the scratch volume of this kind; null: on the node's own disk."""

    in_memory: bool = False
    """Keep the scratch volume in memory: it counts for the Lab's own."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        needed = _NEEDED.get(self.kind, {"size"})
        for name in sorted(needed):
            if getattr(self, name) is None:
                raise ValueError(f"a {self.kind} volume needs {name}")
        said = {name for name in self.model_fields_set if getattr(self, name) not in {None, False}}
        strange = said - _ALLOWED[self.kind] - {"kind", "allowed_groups", "denied_groups"}
        if strange:
            raise ValueError(f"a {self.kind} volume has no {', '.join(sorted(strange))}")
        if self.in_memory and self.storage_class is not None:
            raise ValueError("a scratch volume is in memory or of a storage class, not both")
        return self

    @property
    def place(self) -> str:
        """Where it appears."""
        return self.path or _PLACES[self.kind]
