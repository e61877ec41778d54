"""Renew the hash-locked requirement files; no registry's address is written into them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

UV = Path(sys.executable).parent / "uv"
OPTIONS = [
    "--universal",
    "--generate-hashes",
    "--upgrade",
    "--quiet",
    "--no-emit-index-url",
    "--no-annotate",
    "--no-header",
    # to resolve for a Python that is not here takes none
    "--no-python-downloads",
]


RUCIO = "af_hub/embedded/rucio"
"""Where the Rucio server's own list of packages lies; it is part of the package."""


OLDEST = "3.11"
"""The oldest Python that the project runs on."""

IN_IMAGES = "3.13"
"""Debian 13's Python, which the images have."""

ONE_DASK = ("requirements/dask.in", "--no-emit-package=rapids-dask-dependency")
"""Holds a list to the Dask that GPU Labs can have; the file says why."""


def compile_lock(
    output: str, *arguments: str, folder: str = "requirements", python: str = OLDEST
) -> None:
    """Write ``<folder>/<output>`` from the given uv arguments, for `python` and newer ones."""
    options = [*OPTIONS, f"--python-version={python}"]
    command = [str(UV), "pip", "compile", *options, *arguments, "-o", f"{folder}/{output}"]
    print(f"{folder}/{output}")
    subprocess.run(command, check=True)


def main() -> None:
    """Renew all lock files; the developers' and ROOT's hold to the versions that users get."""
    facility = ("pyproject.toml", "--extra=facility", "--group=build")
    root = ("pyproject.toml", "--extra=root", "--group=build")
    held = ("-c", "requirements/facility.txt")
    with tempfile.TemporaryDirectory() as folder:
        uv = Path(folder) / "bootstrap.in"
        uv.write_text("uv\n")
        hub55 = Path(folder) / "hub-5.5.in"
        hub55.write_text("jupyterhub>=5.5.3,<6\n")
        compile_lock("bootstrap.txt", str(uv))
        compile_lock("facility.txt", *facility, "--extra=analysis", *ONE_DASK)
        compile_lock("dev.txt", *facility, "--extra=analysis", "--group=dev", *held)
        compile_lock("hub-5.5.txt", *facility, "--group=test", *ONE_DASK, "-c", str(hub55))
        # a client and its scheduler must be of one version of Dask
        compile_lock("root.txt", *root, *held)
    compile_lock("requirements.txt", f"{RUCIO}/requirements.in", folder=RUCIO)
    lock_images(held)


def lock_images(held: tuple[str, ...]) -> None:
    """Renew the lists of the images; they hold to the versions that everything is tested with."""
    lab = ("pyproject.toml", "--extra=lab", "--extra=analysis", "images/lab/requirements.in")
    parts = {
        "hub": ("pyproject.toml", "--extra=hub", "images/hub/requirements.in"),
        "lab": lab,
        "lab-gpu": (*lab, "images/lab-gpu/requirements.in", "-c", "images/lab/requirements.txt"),
        "lab-root": ("pyproject.toml", "--extra=root"),
        "dask-gateway": ("images/dask-gateway/requirements.in",),
    }
    for name, arguments in parts.items():
        folder = f"images/{name}"
        compile_lock("requirements.txt", *arguments, *held, folder=folder, python=IN_IMAGES)


if __name__ == "__main__":
    main()
