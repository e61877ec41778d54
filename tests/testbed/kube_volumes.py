"""Volumes of the test cluster: folders of its node, since it makes none by itself."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kube.cluster import Cluster


@contextmanager
def volumes(kube: Cluster, name: str, count: int) -> Iterator[str]:
    """Give the storage class of some volumes, which are gone afterwards.

    They are of the kind ``local``: Kubernetes gives them to the group of the pod (``fsGroup``), as
    it does with those of a real storage.

    Parameters
    ----------
    kube
        The cluster.
    name
        Of the class.
    count
        How many claims there can be.

    Yields
    ------
    str
        The default class where the cluster is somebody else's: it makes volumes by itself.
    """
    if kube.node is None:
        yield _default_class(kube)
        return
    folder = kube.node.settings.run / "volumes" / name
    named = [f"{name}-{number}" for number in range(count)]
    for each in named:
        (folder / each).mkdir(parents=True)
    kube.apply(*(_volume(each, name, str(folder / each), kube.node_name) for each in named))
    try:
        yield name
    finally:
        kube.kubectl("delete", "persistentvolume", "--wait=false", "--ignore-not-found", *named)
        shutil.rmtree(folder, ignore_errors=True)


def _default_class(kube: Cluster) -> str:
    """Find the storage class that claims get which name none."""
    mark = "storageclass.kubernetes.io/is-default-class"
    for each in kube.get("storageclasses")["items"]:
        if each["metadata"].get("annotations", {}).get(mark) == "true":
            return str(each["metadata"]["name"])
    raise AssertionError("this cluster has no default storage class")


def _volume(name: str, storage_class: str, path: str, node: str) -> dict[str, object]:
    """Describe one."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "2Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": storage_class,
            "local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
