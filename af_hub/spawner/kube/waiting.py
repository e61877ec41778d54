"""What a start waits for, in words. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from af_hub.spawner.kube.events import Event
    from af_hub.spawner.kube.gpus.layout import Stock

_SHORT = 400
_LACKS = re.compile(r"Insufficient ([a-zA-Z0-9_-]+(?:[./][a-zA-Z0-9_-]+)*)")
_IMAGE = re.compile(r'image "?([^"\s]+)"?')
_NODE = re.compile(r" to (\S+)$")

_PLAIN = {
    "Pulled": "The image is there.",
    "Created": "The container is made.",
    "Started": "The server starts.",
    "Killing": "The server is being ended.",
    "TriggeredScaleUp": "The cluster adds a node for it.",
    "Nominated": "Room is being made on a node.",
    "SuccessfulAttachVolume": "A volume is attached.",
}
_QUOTED = {
    "FailedMount": "A volume cannot be mounted yet",
    "FailedAttachVolume": "A volume cannot be attached yet",
    "FailedBinding": "A volume is not there yet",
    "BackOff": "The cluster waits before it tries again",
    "Failed": "The cluster could not start it",
    "FailedCreatePodSandBox": "The node could not make its network",
    "NotTriggerScaleUp": "The cluster cannot add a node for it",
    "Preempted": "Something more important took its place",
    "Evicted": "The node ran short of something",
    "Unhealthy": "The server does not answer yet",
}
_AMOUNTS = {"cpu": "processor cores", "memory": "memory", "ephemeral-storage": "disk"}


def event_in_words(event: Event) -> str:
    """Say what an event means to a user; the cluster's own words follow where they help.

    Examples
    --------
    >>> from af_hub.spawner.kube.events import Event
    >>> event_in_words(Event("1", 1, "Pulling", 'Pulling image "lab:1"'))
    'The image lab:1 is being pulled.'
    """
    said = event.message[:_SHORT]
    if event.reason == "FailedScheduling":
        return f"{unscheduled_in_words(event.message)} ({said})"
    if event.reason == "Pulling" and (found := _IMAGE.search(said)):
        return f"The image {found[1]} is being pulled."
    if event.reason == "Scheduled" and (found := _NODE.search(said)):
        return f"A place was found on {found[1]}."
    if event.reason in _PLAIN:
        return _PLAIN[event.reason]
    if event.reason in _QUOTED:
        return f"{_QUOTED[event.reason]}: {said}"
    return f"{event.reason}: {said}"


def unscheduled_in_words(message: str) -> str:
    """Say why no node takes a pod, from what the scheduler wrote.

    Examples
    --------
    >>> unscheduled_in_words("0/2 nodes are available: 2 Insufficient nvidia.com/gpu.")
    'No node has enough free GPUs at the moment; it starts as soon as one has.'
    """
    lacks = {_amount(name) for name in _LACKS.findall(message)}
    if lacks:
        names = " and ".join(sorted(lacks))
        return f"No node has enough free {names} at the moment; it starts as soon as one has."
    if "unbound immediate PersistentVolumeClaims" in message:
        return "Its volume is not there yet."
    if "unschedulable" in message:
        return "No node takes servers at the moment: they are being worked on."
    if "affinity/selector" in message or "taint" in message:
        return "No node of the kind it needs is there."
    return "No node has room for it at the moment."


def gates_in_words(pod: Mapping[str, Any]) -> str | None:
    """Say that something else, a queue of the cluster, holds a pod back; None: nothing does."""
    gates = [str(each.get("name")) for each in pod["spec"].get("schedulingGates") or ()]
    if not gates:
        return None
    return f"The cluster's own queue holds it back ({', '.join(gates)})."


def line_in_words(name: str, number: int, stock: Stock, place: int) -> str:
    """Say what a server in the queue waits for.

    Examples
    --------
    >>> from af_hub.spawner.kube.gpus.layout import Stock
    >>> line_in_words("A100", 1, Stock(8, 0, 8), 3)
    'No free A100: 8 of 8 in use, you are 3rd in line.'
    """
    if stock.free == 0:
        begin = f"No free {name}: {stock.total} of {stock.total} in use"
    elif number > 1:
        begin = f"{number} {name} of one node are not free: {stock.free} of {stock.total} are"
    else:
        begin = f"{stock.free} of {stock.total} {name} free, for those before you"
    return f"{begin}, you are {ordinal(place)} in line."


def ordinal(number: int) -> str:
    """Write a place in a line.

    Examples
    --------
    >>> [ordinal(number) for number in (1, 2, 3, 11, 22, 113)]
    ['1st', '2nd', '3rd', '11th', '22nd', '113th']
    """
    if number % 100 in {11, 12, 13}:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _amount(resource: str) -> str:
    """Name a resource for people."""
    if resource in _AMOUNTS:
        return _AMOUNTS[resource]
    return "GPUs" if resource.endswith("/gpu") else resource
