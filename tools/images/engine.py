"""buildah with settings and storage of its own, so that no other user of it is in the way."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.images import programs
from tools.images.records import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tools.images.places import Places

# runc: crun refuses machines with both kinds of cgroups. The limits: buildah asks for more
# processes than a confined root may have
SETTINGS = """\
[containers]
default_ulimits = ["nofile=16384:16384", "nproc=16384:16384"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""

# ours are made here; whoever names another reference gets what they named
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'


class Engine:
    """buildah on one storage.

    Parameters
    ----------
    places
        Where storage, state and logs lie.
    """

    def __init__(self, places: Places) -> None:
        self.places = places
        self._settings = places.home / "containers.conf"
        self._policy = places.home / "policy.json"

    def prepare(self) -> None:
        """Write the settings."""
        for path, text in ((self._settings, SETTINGS), (self._policy, POLICY)):
            if not path.exists() or path.read_text() != text:
                write_whole(path, text)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of buildah; its caches lie in our folder, too."""
        return {
            **os.environ,
            "PATH": programs.SEARCHED,
            "CONTAINERS_CONF": str(self._settings),
            "TMPDIR": str(self.places.work),
            "BUILDAH_ISOLATION": os.environ.get("BUILDAH_ISOLATION", "oci"),
        }

    def command(self, verb: str, *arguments: str) -> list[str]:
        """Return the command line of one of buildah's commands."""
        storage = ["--root", str(self.places.storage), "--runroot", str(self.places.state)]
        return ["buildah", *storage, "--storage-driver", "overlay", verb, *arguments]

    def ask(self, verb: str, *arguments: str, what: str | None = None) -> str:
        """Run one of buildah's commands and return what it prints."""
        return programs.answer(
            self.command(verb, *arguments),
            what=what or f"buildah {verb}",
            environment=self.environment,
        )

    def references(self) -> list[str]:
        """List what the images in the storage are called; one may have several names."""
        listed = json.loads(self.ask("images", "--json") or "null") or []
        return [name for image in listed for name in image.get("names") or ()]

    def has(self, reference: str) -> bool:
        """Tell whether an image is in the storage."""
        return reference in self.references()

    def used(self) -> set[str]:
        """Return the references of images that a container was made of."""
        listed = json.loads(self.ask("containers", "--json") or "null") or []
        return {container["imagename"] for container in listed}

    def configuration(self, reference: str) -> dict[str, Any]:
        """Return an image's configuration as the OCI specification writes it."""
        described = json.loads(self.ask("inspect", "--type", "image", reference))
        configuration: dict[str, Any] = described["OCIv1"]["config"]
        return configuration

    def build(
        self,
        reference: str,
        context: Path,
        containerfile: Path,
        *,
        arguments: Mapping[str, str],
        secrets: Mapping[str, Path],
        log: Path,
        may_pull: bool = False,
    ) -> None:
        """Build an image from a folder; layers whose inputs are unchanged are taken again.

        Parameters
        ----------
        reference
            What it is called then.
        context
            Folder that the Containerfile copies from.
        containerfile
            The recipe.
        arguments
            Values of the recipe's arguments; they stay in the image's history.
        secrets
            Files that are shown to the recipe's commands and leave nothing in the image.
        log
            File for the output.
        may_pull
            Whether the base may come from a registry.
        """
        options = ["--layers", "--network", "host"]
        options += [
            "--signature-policy",
            str(self._policy),
            *(() if may_pull else ["--pull-never"]),
        ]
        for name, value in arguments.items():
            options += ["--build-arg", f"{name}={value}"]
        for name, path in secrets.items():
            options += ["--secret", f"id={name},src={path}"]
        named = ["--tag", reference, "--file", str(containerfile)]
        programs.run(
            self.command("build", *options, *named, str(context)),
            log=log,
            what=f"Building {reference}",
            environment=self.environment,
        )

    def save(self, reference: str, archive: Path, *, log: Path) -> None:
        """Write an OCI archive, whole or not at all.

        zstd takes half of gzip's time for less, and whatever runs Kubernetes 1.32 reads it.
        """
        part = archive.with_name(f".{archive.name}.part")
        part.unlink(missing_ok=True)
        target = f"oci-archive:{part}:{reference}"
        packing = ["--compression-format", "zstd", "--compression-level", "3"]
        options = ["--quiet", *packing, "--signature-policy", str(self._policy)]
        programs.run(
            self.command("push", *options, reference, target),
            log=log,
            what=f"Writing {archive}",
            environment=self.environment,
        )
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(archive)

    def load(self, archive: Path) -> None:
        """Take an image from its archive into the storage."""
        policy = ["--signature-policy", str(self._policy)]
        self.ask("pull", "--quiet", *policy, f"oci-archive:{archive}", what=f"Reading {archive}")

    @contextmanager
    def container(self, reference: str) -> Iterator[str]:
        """Make a container of an image, for looking at and running in; gone afterwards."""
        name = f"af-inside-{os.getpid()}-{os.urandom(4).hex()}"
        options = ["--pull-never", "--name", name]
        self.ask("from", *options, "--signature-policy", str(self._policy), reference)
        try:
            yield name
        finally:
            self.ask("rm", name)

    @contextmanager
    def files(self, reference: str) -> Iterator[str]:
        """Give the root folder of an image, for reading."""
        with self.container(reference) as name:
            mounted = self.ask("mount", name)
            try:
                yield mounted
            finally:
                self.ask("umount", name)

    def sweep(self) -> None:
        """Remove the containers of builders and readers that died; called in one's turn."""
        for line in self.ask("containers", "--format", "{{.ContainerName}}").splitlines():
            name = line.strip()
            pid = name.removeprefix("af-inside-").split("-")[0]
            if name and not (pid.isdigit() and Path("/proc", pid).is_dir()):
                self.ask("rm", name)
