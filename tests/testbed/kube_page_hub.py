"""The hub of `testbed.page_hub` with Labs in pods of the test cluster, whose devices are counted."""

from __future__ import annotations

import contextlib
import threading
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from testbed.kube_labs import lab_lines
from testbed.page_hub import FACILITY, GPUS, PageHub, prepare
from testbed.small_server import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kube.cluster import Cluster

LABEL = "nvidia.com/gpu.product=NVIDIA-A100"

# the group's quota would be reached together with the devices, and be told instead
_ROOMY = FACILITY.replace("per: group, gpus: 8", "per: group, gpus: 16")
_KUBERNETES = """
kubernetes: {lab_image: "registry.example.org/lab:1", home: null, hub_url: "http://127.0.0.1:1"}
"""

_MORE = """
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.KubeSpawner.gpu_queue = True
"""


@contextlib.contextmanager
def _stub() -> Iterator[str]:
    """Answer in place of all Labs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def _devices(kube: Cluster) -> Iterator[None]:
    """Let the node have eight GPUs, which are none, all of them free."""
    kube.fake_gpus(GPUS)
    kube.kubectl("label", "node", kube.node_name, LABEL)
    labs = ("pods", "--all-namespaces", "--selector=component=singleuser-server")
    try:
        # namespaces of earlier tests go away by themselves, and take a while
        kube.until(lambda: not kube.get(*labs)["items"], "the end of other Labs")
        yield
    finally:
        kube.kubectl("label", "node", kube.node_name, LABEL.partition("=")[0] + "-")
        kube.fake_gpus(0)


@pytest.fixture
def kube_page_hub(
    kube: Cluster, kube_namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PageHub]:
    """Give a hub whose Labs are pods, on which nothing runs."""
    with _stub() as stub, _devices(kube):
        lines = lab_lines(kube, kube_namespace, stub) + _MORE
        hub = prepare(
            tmp_path_factory.mktemp("kube-page-hub"),
            facility=_ROOMY + _KUBERNETES,
            spawner=("af-kube", lines),
            environment={"KUBECONFIG": str(kube.kubeconfig)},
        )
        try:
            hub.start()
            yield hub
            hub.release()
        finally:
            hub.stop()
