"""A graphics processor that works when a test says so: our real client, NVIDIA's library faked."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.require import require

SOURCE = Path(__file__).with_suffix(".c")


@dataclass(frozen=True)
class FakeNvml:
    """The library.

    Parameters
    ----------
    folder
        Where it is, with its values.
    """

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """Environment of programs that shall find it."""
        return {"LD_LIBRARY_PATH": str(self.folder), "FAKE_NVML": str(self.folder / "values")}

    def say(self, devices: int, utilisation: int = 0, process: int = 0) -> None:
        """Set what there is, and how many percent the first device works."""
        values = self.folder / "values"
        new = values.with_suffix(".new")
        new.write_text(f"{devices} {utilisation} {process}")
        new.replace(values)


@pytest.fixture(scope="module")
def fake_nvml(tmp_path_factory: pytest.TempPathFactory) -> FakeNvml:
    """Build the library; at first there is one device that does nothing."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    require("compiler", compiler, "no C compiler")
    folder = tmp_path_factory.mktemp("nvml")
    library = folder / "libnvidia-ml.so.1"
    command = [str(compiler), "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(library)]
    subprocess.run([*command, str(SOURCE)], check=True)
    made = FakeNvml(folder)
    made.say(1)
    return made
