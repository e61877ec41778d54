"""The cluster as tests see it: one that stands here, or a contributor's own.

What only needs the API works on both. What touches the node (`kill`, `pause`, `load`) works on ours;
for another cluster ``AF_KUBE_LOAD`` names the command that loads an archive, for example
``kind load image-archive``.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from af_hub.errors import SetupError
from testbed.kube import demands, images
from testbed.kube.enforcer import LISTS, digest
from testbed.kube.node import Node, reference
from testbed.kube.policies import compile_rules
from testbed.kube.settings import Settings, from_environment
from testbed.kube.tools import Tools
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE: Final = 90.0
"""Seconds that a condition is awaited."""

GPU: Final = "nvidia.com/gpu"

FAKE: Final = "kwok.x-k8s.io/node"
"""Annotation of nodes that KWOK plays."""


class KubectlError(Exception):
    """kubectl failed; the text is what it said."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Parameters
    ----------
    kubeconfig
        The administrator's way in.
    node
        Where it stands; None: somewhere else.
    program
        kubectl.
    """

    kubeconfig: Path
    node: Node | None
    program: str

    @classmethod
    def ours(cls, settings: Settings | None = None) -> Cluster:
        """Return the cluster of this machine, which is up."""
        node = Node(settings or from_environment())
        program = Tools(node.settings.bin).place("kubectl") / "kubectl"
        return cls(node.settings.kubeconfig, node, str(program))

    @classmethod
    def elsewhere(cls, kubeconfig: Path) -> Cluster:
        """Return a cluster of somebody's own."""
        ours = Tools(from_environment().bin).place("kubectl") / "kubectl"
        program = str(ours) if ours.exists() else shutil.which("kubectl")
        require("kube", program, "there is no kubectl; make kube-tools ARGS=kubectl fetches one")
        return cls(kubeconfig, None, str(program))

    # --- the API -----------------------------------------------------------------------------

    def kubectl(self, *arguments: str, input: str | None = None, timeout: float = 60) -> str:
        """Run kubectl to its end and return what it printed.

        Raises
        ------
        KubectlError
            It failed.
        """
        command = [self.program, f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(
            command, input=input, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """Return what ``kubectl get -o json`` gives."""
        return json.loads(self.kubectl("get", *arguments, "--output=json"))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects."""
        text = "\n---\n".join(json.dumps(each) for each in objects)
        self.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", input=text)

    def add_namespace(self, name: str, labels: dict[str, str] | None = None) -> None:
        """Make a namespace, or give one its labels, and wait until pods can be made in it.

        Right after a part of the cluster was killed it takes seconds until a controller has made
        the account without which no pod is admitted.
        """
        metadata = {"name": name, "labels": labels or {}}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self.until(
            lambda: self.get("serviceaccount", "default", "--namespace", name),
            f"namespace {name} has the account that its pods run under",
        )

    def until(
        self, condition: Callable[[], object], what: str, patience: float = PATIENCE
    ) -> float:
        """Wait for a condition and return the seconds that it took.

        A kubectl that fails counts as "not yet": the API server may be away.
        """
        begin = time.monotonic()
        last: object = None
        while True:
            try:
                last = condition()
            except KubectlError as error:
                last = error
            else:
                if last:
                    return time.monotonic() - begin
            assert time.monotonic() - begin < patience, f"{what}: {last!r}"
            time.sleep(0.1)

    @property
    def node_name(self) -> str:
        """Return the name of the (first) node; fake ones do not count."""
        return str(self._first_node()["metadata"]["name"])

    @property
    def node_ip(self) -> str:
        """Return the address of the (first) node."""
        addresses = self._first_node()["status"]["addresses"]
        return str(next(each["address"] for each in addresses if each["type"] == "InternalIP"))

    def _first_node(self) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.get("nodes")["items"]
        return next(each for each in found if FAKE not in each["metadata"].get("annotations", {}))

    def fake_gpus(self, number: int, *, resource: str = GPU) -> None:
        """Let the node have so many GPUs, which are none; returns when pods can ask for them."""
        name, path = self.node_name, "/status/capacity/" + resource.replace("/", "~1")
        here = resource in self.get("node", name)["status"]["capacity"]
        if number:
            change = [{"op": "add", "path": path, "value": str(number)}]
        elif here:
            change = [{"op": "remove", "path": path}]
        else:
            return
        self.kubectl(
            *("patch", "node", name, "--subresource=status", "--type=json"),
            *("--patch", json.dumps(change)),
        )

        def known() -> bool:
            allocatable = self.get("node", name)["status"]["allocatable"]
            return int(allocatable.get(resource, 0)) == number

        self.until(known, "the kubelet does not take the GPUs over")

    def settle_policies(self) -> None:
        """Wait until the NetworkPolicies that exist are in force for the pods that exist.

        Elsewhere nobody can say so: a test has to try until it is so.
        """
        if self.node is None:
            return
        state = self.node.settings.run / "policies.state"

        def in_force() -> bool:
            assert self.node
            lists = [self.node.api.json(path)["items"] for path in LISTS.values()]
            return state.exists() and state.read_text() == digest(compile_rules(*lists))

        self.until(in_force, "the policies are not in force")

    # --- the node ----------------------------------------------------------------------------

    def load(self, image_archive: Path) -> None:
        """Bring an OCI archive into the node's store; costs nothing if it is there."""
        if self.node is not None:
            self.node.load(image_archive)
            return
        command = os.environ.get("AF_KUBE_LOAD", "")
        require("kube-load", command, "AF_KUBE_LOAD does not say how this cluster loads images")
        subprocess.run([*shlex.split(command), str(image_archive)], check=True)

    def image(self, name: str) -> str:
        """Return the reference of one of our own images, ``probe`` or ``pause``."""
        if self.node is not None:
            return reference(self.node.settings, name)
        settings = from_environment()
        settings.images.mkdir(parents=True, exist_ok=True)
        wanted = reference(settings, name)
        archive = settings.images / f"{name}-{wanted.rpartition(':')[2]}.tar"
        if not archive.exists():
            images.pack(archive, wanted, Tools(settings.bin).ensure("small") / name)
        self.load(archive)
        return wanted

    def add(self, part: str) -> None:
        """Start ``metrics`` or ``kwok``, built if needed; it stays for the cluster's life."""
        self._here().add(part)

    def kill(self, part: str) -> None:
        """Kill a part as a crash would."""
        self._here().parts.kill(part)

    def start(self, part: str) -> None:
        """Start a part that was killed."""
        self._here().parts.start(part)

    def pause(self, part: str) -> None:
        """Let a part stand still, its connections open."""
        self._signal(part, signal.SIGSTOP)

    def resume(self, part: str) -> None:
        """Let it go on."""
        self._signal(part, signal.SIGCONT)

    def _signal(self, part: str, number: signal.Signals) -> None:
        process = self._here().parts.process(part)
        assert process, f"{part} does not run"
        process.send(number)

    def _here(self) -> Node:
        require("kube-node", self.node, "this test works on the node itself, KUBECONFIG is set")
        assert self.node
        return self.node


def machine_problem() -> str | None:
    """Return why no cluster can be started here, None if one can."""
    try:
        demands.check_machine()
        demands.find_programs()
    except SetupError as error:
        return error.message
    return None
