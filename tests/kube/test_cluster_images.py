"""The node's store of images: it does not grow with every commit."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from testbed.kube.images import pack
from testbed.kube.pods import probe_pod, wait_ready
from testbed.kube.store import forget_images, remove_images, stored_images
from testbed.kube.tools import Tools
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed.kube.cluster import Cluster


@pytest.fixture
def packed(kube: Cluster, tmp_path: Path) -> Callable[[str], tuple[str, Path]]:
    """Give images of the probe by name, each with a layer of its own, that the store has."""
    require("kube-node", kube.node, "this test looks into the node's store, KUBECONFIG is set")
    assert kube.node
    program = Tools(kube.node.settings.bin).ensure("small") / "probe"

    def make(name: str) -> tuple[str, Path]:
        other = tmp_path / name / "probe"
        other.parent.mkdir()
        # bytes behind a program's end do not disturb it
        other.write_bytes(program.read_bytes() + secrets.token_bytes(16))
        other.chmod(0o755)
        reference = f"localhost/af/{name}:{secrets.token_hex(6)}"
        archive = tmp_path / f"{name}.tar"
        pack(archive, reference, other)
        kube.load(archive)
        return reference, archive

    return make


def pod_of(kube: Cluster, namespace: str, reference: str) -> dict[str, Any]:
    pod = probe_pod(kube, namespace, "user")
    pod["spec"]["containers"][0]["image"] = reference
    return pod


def test_images_go_when_their_archive_is_gone_and_nothing_runs_from_them(
    kube: Cluster, kube_namespace: str, packed: Callable[[str], tuple[str, Path]]
) -> None:
    assert kube.node
    settings = kube.node.settings
    unused, unused_archive = packed("unused")
    used, used_archive = packed("used")
    kept, kept_archive = packed("kept")
    kube.apply(pod_of(kube, kube_namespace, used))
    wait_ready(kube, kube_namespace, "user")
    digest = stored_images(settings)[unused]
    unused_archive.unlink()
    used_archive.unlink()
    first, first_archive = packed("first")
    stored = stored_images(settings)
    assert {used, kept, first} <= stored.keys()
    # under its second name, too, or its layers would stay
    assert digest not in stored.values()
    assert kube.image("probe") in stored

    kube.kubectl("delete", "pod", "user", "--namespace", kube_namespace, "--grace-period=0")
    kept_archive.unlink()
    first_archive.unlink()

    def gone() -> bool:
        forget_images(settings)
        return not {used, kept, first} & stored_images(settings).keys()

    kube.until(gone, "the images stay")


def test_images_stay_when_their_names_are_somebodys_own(
    kube: Cluster, tmp_path: Path, packed: Callable[[str], tuple[str, Path]]
) -> None:
    assert kube.node
    settings = kube.node.settings
    own = f"localhost/af/mine:{secrets.token_hex(3)}"
    archive = tmp_path / "own.tar"
    pack(archive, own, Tools(settings.bin).ensure("small") / "probe")
    kube.load(archive)
    archive.unlink()
    packed("next")
    try:
        assert own in stored_images(settings)
    finally:
        remove_images(settings, [own])
