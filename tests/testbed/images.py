"""Container images: built by the project's own builder, looked at and run by buildah."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testbed.require import require
from tools.images.engine import Engine
from tools.images.places import Places
from tools.images.programs import SEARCHED
from tools.images.records import Record
from tools.images.retention import hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).resolve().parents[2]

PROGRAMS = ("buildah", "runc", "mmdebstrap")

HOST = "inside"
"""What a container takes itself for."""

BUILD_PATIENCE = 1800.0
"""Seconds; three times what all images may take, and another builder may have its turn first."""


@dataclass(frozen=True)
class Inside:
    """A container of an image, as root of the test sees it.

    Parameters
    ----------
    record
        The image.
    root
        Its root folder, for reading.
    configuration
        Its configuration in OCI's words: ``User``, ``Entrypoint``, ``Cmd``, ``Env``.
    """

    record: Record
    root: Path
    configuration: dict[str, Any]
    engine: Engine
    container: str

    def start(self, *command: str, user: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command below the image's own init process, as the image's user.

        What follows the init in the entrypoint (the XCache's script) is left out.
        """
        options = ["--isolation", "oci", "--network", "none", "--hostname", HOST]
        if user is not None:
            options += ["--user", user]
        entry = self.configuration["Entrypoint"]
        words = [*entry[: entry.index("--") + 1], *command]
        return subprocess.run(
            self.engine.command("run", *options, self.container, "--", *words),
            env=self.engine.environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def run(self, *command: str, user: str | None = None) -> str:
        """Run a command that has to succeed, and return what it prints."""
        done = self.start(*command, user=user)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def python(self, program: str) -> str:
        """Run a Python program in the image's environment."""
        return self.run("python", "-c", program)

    def bill(self) -> dict[str, Any]:
        """Return the image's bill of materials."""
        content: dict[str, Any] = json.loads(Path(self.record.sbom).read_text())
        return content


@cache
def build_image(name: str) -> Record:
    """Return the record of an image of this checkout, building it if needed; it stays for us."""
    missing = [each for each in PROGRAMS if shutil.which(each, path=SEARCHED) is None]
    require("images", not missing, f"{', '.join(missing)} build and run images (make system)")
    while not hold(Places.default().home, record := _built(name)):
        pass  # others have built newer ones in this very moment
    return record


def _built(name: str) -> Record:
    command = [sys.executable, "-m", "tools.images", "build", name]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=BUILD_PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    reference = done.stdout.split()[0]
    tag = reference.rpartition(":")[2]
    content = json.loads((Places.default().home / f"{name}-{tag}.json").read_text())
    return Record(**content)


@contextmanager
def inside(record: Record) -> Iterator[Inside]:
    """Give a container of an image."""
    engine = Engine(Places.default())
    engine.prepare()
    if not engine.has(record.reference):
        engine.load(Path(record.archive))
    with engine.container(record.reference) as container:
        root = Path(engine.ask("mount", container))
        configuration = engine.configuration(record.reference)
        # without a network nobody else writes it, and HTCondor looks its own name up for minutes
        (root / "etc/hosts").write_text(f"127.0.0.1 localhost {HOST}\n")
        yield Inside(record, root, configuration, engine, container)


@pytest.fixture(scope="session")
def image() -> Callable[[str], Record]:
    """Give images by name: their records, built if needed."""
    return build_image


@pytest.fixture(scope="module")
def opened(request: pytest.FixtureRequest) -> Iterator[Inside]:
    """Give a container of the image that the module names in ``IMAGE``."""
    with inside(build_image(request.module.IMAGE)) as container:
        yield container


@pytest.fixture(scope="session")
def kube_image(kube: Any) -> Callable[[str], Record]:
    """Give images by name that the test cluster has; pods name them by ``record.reference``."""

    @cache
    def load(name: str) -> Record:
        record = build_image(name)
        kube.load(Path(record.archive))
        return record

    return load
