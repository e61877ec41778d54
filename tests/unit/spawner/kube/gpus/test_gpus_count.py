"""What is read from nodes and pods, and what is free of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from af_hub.spawner.kube.gpus.count import Place, read_claim, read_node, tolerations
from af_hub.spawner.kube.gpus.layout import Layout, Stock
from testbed.gpu_objects import A100, GPU, T4, container, node, pod

if TYPE_CHECKING:
    from af_hub.spawner.kube.gpus.count import Claim

ANY = Place(GPU)
MIG = "nvidia.com/mig-1g.5gb"


def layout(nodes: list[dict[str, Any]], pods: list[dict[str, Any]]) -> Layout:
    read = [found for raw in nodes if (found := read_node(raw))]
    return Layout(read, [claim for raw in pods if (claim := read_claim(raw))])


def taint(key: str, effect: str = "NoSchedule", value: str = "") -> dict[str, str]:
    return {"key": key, "value": value, "effect": effect}


def test_devices_are_free_when_nobody_holds_them() -> None:
    assert layout([node("a", 8), node("b", 2)], []).stock(ANY) == Stock(10, 10, 8)


@pytest.mark.parametrize(
    "closed",
    [
        node(unschedulable=True),
        node(ready=False),
        node(labels={"type": "virtual-kubelet"}),
        node(taints=[taint("virtual-kubelet.io/provider")]),
        node(taints=[taint("virtual-node.interlink/no-schedule")]),
        node(gpus=0),
    ],
    ids=["cordoned", "not ready", "virtual", "virtual by taint", "interlink", "no devices"],
)
def test_node_does_not_count_when_no_pod_comes_to_it(closed: dict[str, Any]) -> None:
    assert read_node(closed) is None


def test_tainted_node_counts_when_the_pod_tolerates_it() -> None:
    tainted = layout([node(taints=[taint("reserved", value="cms")])], [])
    assert tainted.stock(ANY).total == 0
    same = tolerations([{"key": "reserved", "value": "cms", "effect": "NoSchedule"}])
    assert tainted.stock(Place(GPU, tolerations=same)).total == 8
    other = tolerations([{"key": "reserved", "value": "atlas"}])
    assert tainted.stock(Place(GPU, tolerations=other)).total == 0
    every = tolerations([{"operator": "Exists"}])
    assert tainted.stock(Place(GPU, tolerations=every)).total == 8
    for_now = tolerations([{"key": "reserved", "operator": "Exists", "effect": "NoExecute"}])
    assert tainted.stock(Place(GPU, tolerations=for_now)).total == 0


def test_node_counts_when_it_is_only_better_avoided() -> None:
    preferred = node(taints=[taint("busy", "PreferNoSchedule")])
    assert layout([preferred], []).stock(ANY).total == 8


def test_model_is_found_when_the_label_has_dashes() -> None:
    both = layout([node("a", 4), node("b", 2, product=T4)], [])
    assert both.stock(Place(GPU, "NVIDIA A100-SXM4-40GB")).total == 4
    assert both.stock(Place(GPU, A100)).total == 4
    assert both.stock(Place(GPU, "Tesla T4")).total == 2
    assert both.stock(ANY).total == 6


def test_selector_narrows_when_the_profile_has_one() -> None:
    both = layout([node("a", 4, labels={"pool": "cms"}), node("b", 2)], [])
    assert both.stock(Place(GPU, selector=(("pool", "cms"),))).total == 4


@pytest.mark.parametrize(
    ("raw", "held"),
    [
        (pod(2), {GPU: 2}),
        (pod(2, phase="Pending"), {GPU: 2}),
        (pod(2, on=None, phase="Pending"), {GPU: 2}),
        (pod(2, namespace="somebody-else"), {GPU: 2}),
        (pod(2, phase="Succeeded"), None),
        (pod(2, phase="Failed"), None),
        (pod(0), None),
        (pod(1, resource=MIG), {MIG: 1}),
        # an init container runs before the others, a side car with them
        (pod(1, inits=[container(4)]), {GPU: 4}),
        (pod(2, inits=[container(1)]), {GPU: 2}),
        (pod(1, inits=[container(1, restartPolicy="Always")]), {GPU: 2}),
        (pod(1, inits=[container(1, restartPolicy="Always"), container(3)]), {GPU: 4}),
        (pod(1, inits=[container(3), container(1, restartPolicy="Always")]), {GPU: 3}),
        (pod(1, containers=[container(1), container(2)]), {GPU: 3}),
    ],
)
def test_pod_holds_what_the_scheduler_counts(
    raw: dict[str, Any], held: dict[str, int] | None
) -> None:
    claim: Claim | None = read_claim(raw)
    assert (claim.devices if claim else None) == held


def test_pod_that_is_being_deleted_holds_until_it_is_gone() -> None:
    raw = pod(2)
    raw["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    claim = read_claim(raw)
    assert claim is not None
    assert claim.devices == {GPU: 2}


def test_owner_is_the_user_when_the_pod_is_a_lab() -> None:
    mine = read_claim(pod(labels={"hub.jupyter.org/username": "alice"}))
    other = read_claim(pod(namespace="training"))
    assert mine is not None
    assert other is not None
    assert (mine.owner, other.owner) == ("alice", "training")


def test_amounts_are_read_when_only_requests_name_them() -> None:
    asked = {"name": "c", "resources": {"requests": {GPU: "2"}}}
    claim = read_claim(pod(containers=[asked]))
    assert claim is not None
    assert claim.devices == {GPU: 2}


def test_nothing_is_a_device_when_it_is_another_resource() -> None:
    assert read_claim(pod(1, resource="hugepages-2Mi")) is None
    assert read_claim(pod(1, resource="example.org/fpga")) is None
    assert read_claim(pod(1, resource="example.org/fpga"), {"example.org/fpga"}) is not None
    for resource in (GPU, MIG, "amd.com/gpu", "gpu.intel.com/i915", "nvidia.com/gpu.shared"):
        assert read_claim(pod(1, resource=resource)) is not None, resource


def test_mig_devices_are_counted_by_their_own_name() -> None:
    mixed = layout([node("a", 7, resource=MIG), node("b", 2)], [pod(3, "a", resource=MIG)])
    assert mixed.stock(Place(MIG, A100)) == Stock(7, 4, 7)
    assert mixed.stock(ANY) == Stock(2, 2, 2)


def test_number_must_be_free_on_one_node() -> None:
    spread = layout([node("a", 2), node("b", 2)], [pod(1, "a"), pod(1, "b")])
    assert spread.stock(ANY).free == 2
    assert spread.fits(ANY, 1)
    assert not spread.fits(ANY, 2)


def test_pod_without_a_node_takes_where_the_least_is_left() -> None:
    """So that the empty node stays whole for a large request."""
    one = layout([node("a", 4), node("b", 4)], [pod(2, "a"), pod(2, None, phase="Pending")])
    assert one.stock(ANY).free == 4
    assert one.fits(ANY, 4)


def test_pod_that_fits_nowhere_takes_nothing() -> None:
    waits = layout([node("a", 4)], [pod(16, None, phase="Pending")])
    assert waits.stock(ANY).free == 4
    elsewhere = pod(2, None, phase="Pending", nodeSelector={"pool": "other"})
    assert layout([node("a", 4)], [elsewhere]).stock(ANY).free == 4


def test_free_is_never_below_nothing_when_a_device_breaks() -> None:
    broken = layout([node("a", 1), node("b", 2)], [pod(3, "a")])
    assert broken.stock(ANY) == Stock(3, 2, 2)


def test_kinds_of_pods_share_when_one_node_takes_both() -> None:
    both = layout([node("a", 4), node("b", 2, product=T4)], [])
    a100, t4 = Place(GPU, A100), Place(GPU, T4)
    assert both.shared(ANY, t4)
    assert not both.shared(a100, t4)
    assert not both.shared(ANY, Place(MIG))
