"""What the cluster has told about pods that somebody waits for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST = 20
"""Events that are kept of each pod, the newest ones."""

_LONGEST = 1000
"""Characters of a message that are kept."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that the cluster told about a pod.

    Parameters
    ----------
    uid
        Its identity.
    count
        How often it has been told.
    reason
        One word, for example ``FailedScheduling``.
    message
        A sentence.
    when
        Time as the cluster writes it.
    warning
        Whether it is a warning.
    """

    uid: str
    count: int
    reason: str
    message: str
    when: str = ""
    warning: bool = False


class EventBook:
    """The newest events of each pod that is waited for; what is told of others is not kept."""

    def __init__(self) -> None:
        self._pods: dict[str, dict[str, Event]] = {}

    def expect(self, pod: str) -> None:
        """Keep from now on what is told of a pod, ``namespace/name``."""
        self._pods[pod] = {}

    def forget(self, pod: str) -> None:
        """Keep nothing any more of a pod."""
        self._pods.pop(pod, None)

    def of(self, pod: str) -> tuple[Event, ...]:
        """List what has been told of a pod, the newest last."""
        return tuple(self._pods.get(pod, {}).values())

    # --- as `af_hub.spawner.kube.follow.Copy` ---

    def replace(self, objects: Iterable[dict[str, Any]]) -> None:
        """Go on from here: the changes in between are lost, what was told is not."""

    def put(self, one: dict[str, Any]) -> None:
        """Take an event, if it is about a pod that is waited for."""
        about = one.get("involvedObject") or {}
        kept = self._pods.get(f"{about.get('namespace')}/{about.get('name')}")
        if kept is None:
            return
        event = _read(one)
        # what is told again comes last
        kept.pop(event.uid, None)
        kept[event.uid] = event
        if len(kept) > _MOST:
            del kept[next(iter(kept))]

    def remove(self, one: dict[str, Any]) -> None:
        """Do nothing: the cluster forgets after an hour, a start is over before."""


def _read(one: dict[str, Any]) -> Event:
    series = one.get("series") or {}
    when = series.get("lastObservedTime") or one.get("lastTimestamp") or one.get("eventTime")
    return Event(
        uid=one["metadata"]["uid"],
        count=int(series.get("count") or one.get("count") or 1),
        reason=str(one.get("reason") or ""),
        message=str(one.get("message") or "")[:_LONGEST],
        when=str(when or ""),
        warning=one.get("type") == "Warning",
    )
