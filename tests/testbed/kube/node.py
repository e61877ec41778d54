"""Up, down, status.

"Up" looks whether all is well and is done then; else it takes down whatever is left of before and
boots afresh, so there is one way into the good state from every other one. Only programs and images
are kept. "Down" finds what is ours by the namespace, the control groups and the records of
processes, never by the name of a program.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from af_hub.errors import SetupError
from testbed.kube import demands, extras, host, images, pki, processes, recipes
from testbed.kube.api import Api
from testbed.kube.parts import Parts
from testbed.kube.store import forget_images, load_images, stored_images
from testbed.kube.tools import BASE, GIGABYTES, Tools, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.kube.settings import Settings

PATIENCE: Final = 120.0
"""Seconds for each step of a start; the whole takes about six."""

IMAGES: Final = {"pause": "small", "coredns": "coredns", "probe": "small"}
"""Images of one program, and the family that it is of."""

MANIFESTS: Final = Path(__file__).with_name("manifests")


def reference(settings: Settings, name: str) -> str:
    """Return the full name of one of `IMAGES`."""
    built = Tools(settings.bin).place(IMAGES[name])
    return f"localhost/af/{name}:{built.name.rpartition('-')[2][:12]}"


@dataclass(frozen=True)
class Node:
    """One cluster of one node."""

    settings: Settings

    @property
    def parts(self) -> Parts:
        """Return its processes."""
        return Parts(self.settings)

    @property
    def api(self) -> Api:
        """Return the administrator's way to the API server."""
        return Api(self.settings.server, self.settings.pki, "admin")

    # --- state -------------------------------------------------------------------------------

    def problem(self) -> str | None:
        """Return what is wrong, None if the cluster is well."""
        if not self.settings.kubeconfig.exists():
            return "it is down"
        for name in recipes.PARTS:
            if self.parts.process(name) is None:
                return f"{name} does not run"
        if not self._ready():
            return "the API server is not ready"
        if not self._node_ready():
            return "the node is not ready"
        return None if self._dns_ready() else "the DNS is not ready"

    def _ready(self) -> bool:
        try:
            return self.api.text("/readyz") == "ok"
        except OSError:
            return False

    def _node_ready(self) -> bool:
        try:
            node = self.api.json(f"/api/v1/nodes/{self.settings.node}")
        except OSError:
            return False
        conditions = node["status"].get("conditions", [])
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def _dns_ready(self) -> bool:
        try:
            found = self.api.json("/apis/apps/v1/namespaces/kube-system/deployments/coredns")
        except OSError:
            return False
        return bool(found["status"].get("readyReplicas"))

    def _proxy_ready(self) -> bool:
        url = "http://127.0.0.1:10256/healthz"
        code = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)"
        try:
            host.run(sys.executable, "-S", "-c", code, url, inside=self.settings)
        except OSError:
            return False
        return True

    # --- up ----------------------------------------------------------------------------------

    def up(self, *, borrowed: bool = False) -> bool:
        """Bring the cluster up; return False if it was up.

        Parameters
        ----------
        borrowed
            Whether tests start it, for themselves. Without, it stays up when they end.

        Raises
        ------
        SetupError
            The machine lacks something, or a part does not start; the sentence says what.
        """
        demands.check_machine()
        found = demands.find_programs()
        with self._locked():
            if self.problem() is None:
                if not borrowed:
                    self.settings.borrowed.unlink(missing_ok=True)
                return False
            try:
                self._boot(found, borrowed=borrowed)
            except OSError as error:
                # a full disk names itself, anything else the program that failed
                full = error.errno == errno.ENOSPC
                why = f"{self.settings.home}: {error.strerror}" if full else str(error)
                raise SetupError("kube-start", f"The cluster cannot be started: {why}.") from error
        return True

    def _boot(self, found: dict[str, str], *, borrowed: bool) -> None:
        settings = self.settings
        self._down()
        demands.check_addresses(settings)
        demands.check_file_system(settings.home.resolve())
        tools = Tools(settings.bin)
        lacking = tools.missing((*BASE, "kubectl"))
        demands.check_disk(settings.home, GIGABYTES if lacking else demands.GIGABYTES)
        built = {name: tools.ensure(name) for name in (*BASE, "kubectl")}
        begin = time.monotonic()
        for folder in (settings.store, settings.images, settings.run):
            folder.mkdir(exist_ok=True)
        for name in ("log", "pid", "cni"):
            (settings.run / name).mkdir()
        if borrowed:
            settings.borrowed.touch()
        self._pack_images(built)
        pause = reference(settings, "pause")
        programs = recipes.Programs(built, found, sys.executable, pause)
        pki.make(settings)
        for name, text in recipes.files(settings, programs).items():
            (settings.run / name).write_text(text)
        self.parts.keep(recipes.commands(settings, programs))
        host.keep_machine(settings)
        host.make_network(settings)
        host.make_control_groups(settings)
        self._start_all(built["kubectl"] / "kubectl")
        say(f"kube: up after {time.monotonic() - begin:.1f} s")

    def _start_all(self, kubectl: Path) -> None:
        parts = self.parts
        for name in ("etcd", "apiserver", "containerd"):
            parts.start(name)
        self._await("containerd", self._containerd_ready)
        self.load(*sorted(self.settings.images.glob("*.tar")))
        forget_images(self.settings)
        self._await("apiserver", self._ready)
        for name in ("controller-manager", "scheduler", "kubelet", "proxy", "policies"):
            parts.start(name)
        # a pod that asks a Service before the proxy knows of it waits for half a minute
        self._await("proxy", self._proxy_ready)
        for path in sorted(MANIFESTS.glob("*.yaml")):
            self._apply(kubectl, path.stem, path.read_text())
        self._await("kubelet", self._node_ready)
        self._await("kubelet", self._dns_ready)

    def _containerd_ready(self) -> bool:
        try:
            stored_images(self.settings)
        except OSError:
            return False
        return True

    def add(self, name: str) -> None:
        """Start a part on demand, built if needed; does nothing if it runs."""
        extra = extras.ALL[name]
        tools = Tools(self.settings.bin)
        folder = tools.ensure(name)
        with self._locked():
            if self.parts.process(name):
                return
            self._apply(tools.place("kubectl") / "kubectl", name, extra.manifest(self.settings))
            self.parts.keep({name: extra.command(self.settings, folder)})
            self.parts.start(name)

    def _apply(self, kubectl: Path, name: str, text: str) -> None:
        text = text.replace("@DNS_IP@", self.settings.dns_ip)
        text = text.replace("@COREDNS@", reference(self.settings, "coredns"))
        target = self.settings.run / f"{name}.yaml"
        target.write_text(text)
        host.run(
            *(str(kubectl), f"--kubeconfig={self.settings.kubeconfig}", "apply", "--server-side"),
            *("--filename", str(target)),
        )

    def _await(self, part: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            late = time.monotonic() > deadline
            for name in self.parts.names():
                if late or self.parts.process(name) is None:
                    name = part if late else name  # noqa: PLW2901
                    what = "is not ready" if late else "ended at once"
                    raise SetupError(
                        "kube-part",
                        f"{name} {what}; its log is {self.parts.log(name)}.",
                        detail=self.parts.last_line(name),
                    )
            time.sleep(0.05)

    def _pack_images(self, built: dict[str, Path]) -> None:
        """Make the archives of our own images, and remove those of older programs."""
        for name, family in IMAGES.items():
            wanted = reference(self.settings, name)
            target = self.settings.images / f"{name}-{wanted.rpartition(':')[2]}.tar"
            if not target.exists():
                images.pack(target, wanted, built[family] / name)
            for old in self.settings.images.glob(f"{name}-{'?' * 12}.tar"):
                if old != target:
                    old.unlink()

    def load(self, *archives: Path) -> None:
        """Bring images into the node's store; those that it has already cost nothing.

        What is brought in makes room: images whose archive is gone, and that nothing runs from, go.

        Raises
        ------
        OSError
            An archive cannot be read, or the disk is full.
        """
        load_images(self.settings, *archives)

    # --- down --------------------------------------------------------------------------------

    def down(self) -> None:
        """Take the cluster down: no process, mount, link, namespace or group is left.

        Raises
        ------
        SetupError
            ``kube-root``, or ``kube-down`` naming processes that do not die.
        """
        demands.check_machine()
        with self._locked():
            self._down()

    def _down(self) -> None:
        settings, parts = self.settings, self.parts
        # all but containerd's store goes with the cluster, so nobody else needs time to end well;
        # the kubelet is among the first, so that nothing is started again
        parts.end(*(name for name in parts.names() if name != "containerd"), grace=0)
        left = processes.end(lambda: host.pids_in_control_groups(settings), grace=0)
        parts.end("containerd")
        left |= processes.end(self._pids, grace=0)
        if left:
            numbers = ", ".join(map(str, sorted(left)))
            raise SetupError("kube-down", f"Processes of the cluster do not die: {numbers}.")
        host.remove_strays(settings)
        host.remove_mounts(settings)
        host.remove_network(settings)
        host.remove_control_groups(settings)
        host.restore_machine(settings)
        try:
            host.remove_state(settings)
        except OSError:
            # a mount that was hidden by another one
            host.remove_mounts(settings)
            host.remove_state(settings)

    def _pids(self) -> set[int]:
        found = host.pids_in_network(self.settings) | host.pids_in_control_groups(self.settings)
        for name in self.parts.names():
            if process := self.parts.process(name):
                found.add(process.pid)
        return found

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Be the only one that brings the cluster up or down; wait for another one's end."""
        with _said_in_a_sentence(self.settings):
            self.settings.home.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(self.settings.lock, flags, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
                say(
                    f"kube: pid {holder or 'unknown'} brings the cluster up or down, waiting for it"
                )
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(OSError):  # a full disk; the name is for people only
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _said_in_a_sentence(settings: Settings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SetupError(
            "kube-home", f"{settings.home} cannot be written: {error.strerror}; set AF_KUBE_HOME."
        ) from error
