"""What the Lab server tells its kernels about clusters inside the server: one small file."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from af_labextension.owner_file import replace_file

from .kinds import Kind, Range
from .kinds_from import from_dask
from .manager.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = "types.json"
"""Name of the file, in the folder of the clusters."""


@dataclass(frozen=True, slots=True)
class KernelTypes:
    """Types, and how clusters are started.

    Parameters
    ----------
    folder, sockets
        Where clusters are written down, and where they listen.
    python
        Runs them.
    most
        How many there may be at a time.
    kinds
        Types.
    """

    VARIABLE: ClassVar[str] = "AF_LAB_CLUSTERS"
    """Variable with the folder in a kernel's environment."""

    folder: Folder
    sockets: Path
    python: str
    most: int
    kinds: tuple[Kind, ...]

    def write(self) -> None:
        """Write the file, if it would change; blocks.

        Raises
        ------
        OSError
            The folder cannot be written.
        """
        content = json.dumps(
            {
                "sockets": str(self.sockets),
                "python": self.python,
                "most": self.most,
                "kinds": [dataclasses.asdict(kind) for kind in self.kinds],
            }
        ).encode()
        path = self.folder.path / NAME
        if path.is_file() and path.read_bytes() == content:
            return
        self.folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, content)

    @classmethod
    def read(cls) -> KernelTypes | None:
        """Return what the Lab wrote; None outside of a Lab."""
        name = os.environ.get(cls.VARIABLE, "")
        try:
            found = json.loads((Path(name) / NAME).read_bytes()) if name else None
        except (OSError, ValueError):
            return None
        if not isinstance(found, dict):
            return None
        return cls(
            folder=Folder(Path(name)),
            sockets=Path(found["sockets"]),
            python=found["python"],
            most=found["most"],
            kinds=tuple(_kinds(found["kinds"])),
        )

    def find(self, name: str) -> Kind | None:
        """Return a type by its name; the user's own Dask configuration is read here."""
        for kind in self.kinds:
            if kind.name == name:
                return kind
        configured = _configured()
        return configured if configured is not None and configured.name == name else None


def _kinds(found: Iterable[dict[str, Any]]) -> Iterable[Kind]:
    for one in found:
        sizes = {
            name: None if one[name] is None else Range(**one[name]) for name in ("cores", "memory")
        }
        yield Kind(**{**one, **sizes})


def _configured() -> Kind | None:
    return from_dask(import_module("dask").config.get("labextension", None))
