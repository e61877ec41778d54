"""What a start waits for, in words; and what is kept of what the cluster tells."""

from __future__ import annotations

from typing import Any

import pytest

from af_hub.spawner.kube.events import Event, EventBook
from af_hub.spawner.kube.gpus.layout import Stock
from af_hub.spawner.kube.waiting import event_in_words, gates_in_words, line_in_words


@pytest.mark.parametrize(
    ("reason", "message", "said"),
    [
        (
            "FailedScheduling",
            "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate",
            (
                "No node has enough free GPUs at the moment; it starts as soon as one has. "
                "(0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate)"
            ),
        ),
        (
            "FailedScheduling",
            "0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory.",
            (
                "No node has enough free memory and processor cores at the moment; "
                "it starts as soon as one has. "
                "(0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory.)"
            ),
        ),
        (
            "FailedScheduling",
            "0/1 nodes are available: 1 node(s) were unschedulable.",
            (
                "No node takes servers at the moment: they are being worked on. "
                "(0/1 nodes are available: 1 node(s) were unschedulable.)"
            ),
        ),
        (
            "FailedScheduling",
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
            (
                "No node of the kind it needs is there. "
                "(0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.)"
            ),
        ),
        (
            "FailedScheduling",
            "pod has unbound immediate PersistentVolumeClaims.",
            "Its volume is not there yet. (pod has unbound immediate PersistentVolumeClaims.)",
        ),
        (
            "Scheduled",
            "Successfully assigned labs/jupyter-alice to node1",
            "A place was found on node1.",
        ),
        (
            "Pulling",
            'Pulling image "registry.example.org/lab@sha256:00"',
            "The image registry.example.org/lab@sha256:00 is being pulled.",
        ),
        ("Started", "Started container notebook", "The server starts."),
        ("TriggeredScaleUp", "pod triggered scale-up", "The cluster adds a node for it."),
        (
            "Failed",
            'Failed to pull image "lab:2": not found',
            'The cluster could not start it: Failed to pull image "lab:2": not found',
        ),
        (
            "FailedMount",
            "MountVolume.SetUp failed",
            "A volume cannot be mounted yet: MountVolume.SetUp failed",
        ),
        ("Strange", "something new", "Strange: something new"),
    ],
)
def test_event_is_told_in_words(reason: str, message: str, said: str) -> None:
    assert event_in_words(Event("1", 1, reason, message)) == said


@pytest.mark.parametrize(
    ("number", "stock", "place", "said"),
    [
        (1, Stock(8, 0, 8), 3, "No free A100: 8 of 8 in use, you are 3rd in line."),
        (
            4,
            Stock(8, 2, 4),
            1,
            "4 A100 of one node are not free: 2 of 8 are, you are 1st in line.",
        ),
        (1, Stock(8, 1, 8), 2, "1 of 8 A100 free, for those before you, you are 2nd in line."),
    ],
)
def test_place_in_the_line_is_told(number: int, stock: Stock, place: int, said: str) -> None:
    assert line_in_words("A100", number, stock, place) == said


def test_queue_of_the_cluster_is_told_when_it_holds_a_pod_back() -> None:
    held = {"spec": {"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]}}
    assert gates_in_words(held) == (
        "The cluster's own queue holds it back (kueue.x-k8s.io/admission)."
    )
    assert gates_in_words({"spec": {}}) is None


def raw(number: int, pod: str = "jupyter-alice", **more: Any) -> dict[str, Any]:
    """Write an event."""
    return {
        "metadata": {"uid": str(number), "namespace": "labs", "name": f"e{number}"},
        "involvedObject": {"kind": "Pod", "namespace": "labs", "name": pod},
        "type": "Normal",
        "reason": "Pulling",
        "message": "x" * 5000,
        "lastTimestamp": None,
        **more,
    }


def test_only_pods_that_are_waited_for_are_kept() -> None:
    book = EventBook()
    book.expect("labs/jupyter-alice")
    for number in range(1000):
        book.put(raw(number, f"other{number}"))
    assert book._pods == {"labs/jupyter-alice": {}}


def test_only_the_newest_of_a_pod_are_kept_and_only_what_is_shown() -> None:
    book = EventBook()
    book.expect("labs/jupyter-alice")
    for number in range(100):
        book.put(raw(number))
    kept = book.of("labs/jupyter-alice")
    assert [event.uid for event in kept] == [str(number) for number in range(80, 100)]
    assert all(len(event.message) <= 1000 for event in kept)


def test_event_that_is_told_again_comes_last() -> None:
    book = EventBook()
    book.expect("labs/jupyter-alice")
    book.put(raw(1))
    book.put(raw(2))
    book.put(raw(1, count=2))
    assert [(event.uid, event.count) for event in book.of("labs/jupyter-alice")] == [
        ("2", 1),
        ("1", 2),
    ]


def test_nothing_is_left_of_an_earlier_start() -> None:
    book = EventBook()
    book.expect("labs/jupyter-alice")
    book.put(raw(1))
    book.expect("labs/jupyter-alice")
    assert book.of("labs/jupyter-alice") == ()
    book.put(raw(2))
    book.forget("labs/jupyter-alice")
    book.put(raw(3))
    assert book.of("labs/jupyter-alice") == ()
