"""A notebook that grows past its pod's memory: its kernel ends with words, the pod lives on.

By the pod's own control group, with the kubelet's limit in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from af_labextension.memory.notices import amount
from testbed.facility import wait_for
from testbed.kube.cluster import KubectlError
from testbed.pod_kernels import PodKernels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kube_facility import PodFacility

GROWS = """
import time
held = []
while len(held) < 4096:
    held.append(b"x" * (16 << 20))
    time.sleep(0.02)
"""
"""Some 0.5 GiB a second, as data that is read piece by piece."""

KILLS = """
from pathlib import Path
names = ("memory/memory.oom_control", "memory.events")
(file,) = (path for name in names if (path := Path("/sys/fs/cgroup") / name).exists())
words = file.read_text().split()
print(words[words.index("oom_kill") + 1])
"""

UNGUARDED = "/home/jovyan/.jupyter/jupyter_server_config.json"


@pytest.fixture
def kernels(pod_facility: PodFacility) -> Iterator[PodKernels]:
    """Give the kernels of alice's Lab, which runs."""
    alice = pod_facility.log_in("alice")
    alice.start_server("small")
    yield PodKernels(pod_facility, "alice")
    if not alice.server_answers():
        alice.start_server("small")
    pod_facility.in_lab("alice", "rm", "-f", UNGUARDED)
    pod_facility.stop("alice")


def container(facility: PodFacility) -> dict[str, Any]:
    """Return what the cluster says of the Lab's container."""
    pod = facility.lab("alice")
    assert pod is not None
    (state,) = pod["status"]["containerStatuses"]
    found: dict[str, Any] = state
    return found


def kills(facility: PodFacility) -> int:
    """Count the processes of the pod that the system has killed for want of memory."""
    return int(facility.in_lab("alice", "python", "-c", KILLS))


def test_the_kernel_ends_with_a_message_before_the_pod_when_a_notebook_grows(
    pod_facility: PodFacility, kernels: PodKernels
) -> None:
    before = container(pod_facility)
    small, large = kernels.notebook("small.ipynb"), kernels.notebook("large.ipynb")
    kernels.run(small, "kept = 42")
    kernels.begin(large, GROWS)

    def told() -> list[dict[str, Any]]:
        return [one for one in kernels.ask("af/memory")["notices"] if one["kernel"] == large]

    (notice,) = wait_for(told, "the end of the kernel")
    assert notice["kind"] == "ended"
    assert "The kernel of large.ipynb held" in notice["text"]
    pod = pod_facility.lab("alice")
    assert pod
    limit = pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
    assert f"of {amount(int(limit))} of this server's memory" in notice["text"]

    def again() -> bool:
        try:
            kernels.run(large, "assert 'held' not in globals()")
        except KubectlError:
            return False
        return True

    wait_for(again, "the kernel in its place")
    kernels.run(small, "assert kept == 42")
    assert container(pod_facility)["containerID"] == before["containerID"]
    assert container(pod_facility)["restartCount"] == 0
    assert kills(pod_facility) == 0


def test_the_system_kills_in_the_pod_when_nobody_guards(
    pod_facility: PodFacility, kernels: PodKernels
) -> None:
    """Else the other test would show nothing."""
    off = '{"FacilityExtension": {"memory_guard": false}}'
    write = f"mkdir -p $(dirname {UNGUARDED}); echo '{off}' > {UNGUARDED}"
    pod_facility.in_lab("alice", "sh", "-c", write)
    pod_facility.log_in("alice").start_server("small")
    large = kernels.notebook("large.ipynb")
    kernels.begin(large, GROWS)

    def killed() -> bool:
        # one process, or all of the container: the kubelet's choice
        return "terminated" in container(pod_facility)["state"] or kills(pod_facility) > 0

    wait_for(killed, "the system's kill")
