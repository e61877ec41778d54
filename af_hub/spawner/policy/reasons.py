"""Why a server is not started: the fixed list. Pure."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Reason of a refusal: label of the metric ``jupyterhub_server_spawn_duration_seconds``."""

    INVALID_OPTIONS = "invalid-options"
    """The request has not the right form: unknown key, wrong type (400)."""

    NO_PROFILE = "no-profile"
    """No profile is offered to this user (403)."""

    UNKNOWN_PROFILE = "unknown-profile"
    """There is no such profile for this user; also if it exists for others (400)."""

    NOT_OFFERED = "not-offered"
    """The profile does not offer this number of cores, memory or devices (400)."""

    IMAGE_NOT_ALLOWED = "image-not-allowed"
    """The profile does not offer this image, nor may the user name it (400)."""

    TOO_LARGE = "too-large"
    """No place has that many cores or that much memory (400)."""

    GPU_MISSING = "gpu-missing"
    """There is no such graphics processor (400)."""

    GPU_BUSY = "gpu-busy"
    """All graphics processors are reserved (409)."""

    GPU_WAITING = "gpu-waiting"
    """The server waited in the queue for graphics processors until its time was over (409)."""

    QUEUE_FULL = "queue-full"
    """The queue for graphics processors is full (409)."""

    USER_LIMIT = "user-limit"
    """The user already runs as many servers, or holds as much, as allowed (409)."""

    GROUP_LIMIT = "group-limit"
    """The members of a group hold as much as they may together (409)."""

    TOTAL_LIMIT = "total-limit"
    """As many servers run as allowed, or they hold as much as they may together (409)."""

    CLUSTER_AWAY = "cluster-away"
    """The cluster's API server does not answer (503)."""

    CLUSTER_REFUSED = "cluster-refused"
    """The cluster does not admit the pod or the volume, for example by a quota, or another user's pod has
    the name (403)."""

    POD_LOST = "pod-lost"
    """The pod was deleted or evicted before the server was up (503)."""
