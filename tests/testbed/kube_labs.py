"""What hubs have in common whose Labs are pods of the test cluster.

The pods are real; what runs in them is the tests' probe, which waits. One small server on this
machine answers in their place, so that JupyterHub takes them for Labs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.kube.cluster import Cluster

_LABS = """
from af_hub.spawner.kube.spawner import KubeSpawner

stub = {stub!r}

class Spawner(KubeSpawner):
    def _get_pod_url(self, pod): return stub

c.JupyterHub.spawner_class = Spawner
c.KubeSpawner.namespace = {namespace!r}
c.KubeSpawner.image = {image!r}
c.KubeSpawner.image_pull_policy = "Never"
c.KubeSpawner.cmd = ["wait"]
c.KubeSpawner.reserved_cpu = 0.01
c.KubeSpawner.reserved_memory = 0.01
c.KubeSpawner.delete_grace_period = 0
"""


def lab_lines(kube: Cluster, namespace: str, stub: str) -> str:
    """Return lines of a hub's configuration.

    Parameters
    ----------
    kube, namespace
        Where its pods are.
    stub
        Address of what answers in place of all Labs.
    """
    return _LABS.format(stub=stub, namespace=namespace, image=kube.image("probe"))
