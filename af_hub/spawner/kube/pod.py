"""What stands in a Lab's pod beside KubeSpawner's own: places, volumes, devices. Pure.

KubeSpawner formats ``{…}`` in many of its traits, and Kubernetes replaces ``$(NAME)`` in variables.
Nothing here goes through a trait, and what people have written is marked as literal.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from af_hub.iam.names import names_of
from af_hub.spawner.lab_environment import device_variables
from af_hub.spawner.local.folders import Folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from af_hub.facility.volumes import Volume
    from af_hub.spawner.policy.plan import Plan

UID, GID = 1000, 100
"""User and group of our Lab images."""

_MEMORY = Path("/run/analysis-facility")
"""Where a volume in memory is mounted. Its root is open to the group of the pod (``fsGroup``), so
tokens lie one folder deeper, in one that the Lab makes for itself."""

PLACES = Folders(
    home=Path("/home/jovyan"), runtime=_MEMORY / "lab", log=Path("/dev/stderr"), uid=UID
)
"""Places of a Lab inside its pod."""

AUTHORITIES = Path("/etc/analysis-facility/ca")
"""Where the ConfigMap with the facility's authorities is mounted."""

CA_BUNDLE = AUTHORITIES / "ca-bundle.pem"

CONTAINER_SECURITY = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What the pod security standard "restricted" asks of a container."""


def literal(value: str) -> str:
    """Write a value so that Kubernetes takes it as it is.

    Examples
    --------
    >>> literal("$(HOME) costs 5$")
    '$$(HOME) costs 5$$'
    """
    return value.replace("$", "$$")


def volumes(
    claim: str | None, ca_config_map: str, further: Iterable[Volume] = ()
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """List what is mounted into the Lab.

    Parameters
    ----------
    claim
        Name of the user's claim for a home volume; None: no volume.
    ca_config_map
        Name of the ConfigMap with the facility's authorities, or an empty text.
    further
        Volumes of the plan.

    Yields
    ------
    tuple of (dict, dict)
        A volume, and its mount.
    """
    memory = {"medium": "Memory", "sizeLimit": "16Mi"}
    yield _mounted("af-runtime", {"emptyDir": memory}, str(_MEMORY))
    if claim is not None:
        source = {"persistentVolumeClaim": {"claimName": claim}}
        yield _mounted("af-home", source, str(PLACES.home))
    if ca_config_map:
        source = {"configMap": {"name": ca_config_map}}
        yield _mounted("af-authorities", source, str(AUTHORITIES), readOnly=True)
    for number, volume in enumerate(further):
        extra: dict[str, Any] = {"readOnly": volume.read_only or volume.kind == "cvmfs"}
        if volume.sub_path is not None:
            extra["subPath"] = volume.sub_path
        if volume.kind == "cvmfs":
            # repositories are mounted on the node when somebody looks at them, later than the pod
            extra["mountPropagation"] = "HostToContainer"
        yield _mounted(f"af-volume-{number}", _source(volume), volume.place, **extra)


def _mounted(
    name: str, source: dict[str, Any], path: str, **extra: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write a volume and its mount."""
    return {"name": name, **source}, {"name": name, "mountPath": path, "readOnly": False, **extra}


def _source(volume: Volume) -> dict[str, Any]:
    """Say where a volume of the catalogue comes from."""
    if volume.kind != "scratch":
        return {"persistentVolumeClaim": {"claimName": volume.claim or volume.kind}}
    size = str(volume.size)
    if volume.storage_class is None:
        medium = {"medium": "Memory"} if volume.in_memory else {}
        return {"emptyDir": {"sizeLimit": size, **medium}}
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": volume.storage_class,
        "resources": {"requests": {"storage": size}},
    }
    return {"ephemeral": {"volumeClaimTemplate": {"spec": spec}}}


def tolerations(plan: Plan) -> list[dict[str, str]]:
    """Write the taints that the pod puts up with."""
    return [
        each.model_dump(include={"key", "operator", "value", "effect"}, exclude_none=True)
        for each in plan.tolerations
    ]


def device_limits(plan: Plan) -> dict[str, str]:
    """Ask the cluster for the plan's graphics processors; a ``profile_list`` has its own way."""
    return {plan.gpu_resource: str(plan.gpu)} if plan.gpu and plan.overrides is None else {}


def node_labels(plan: Plan) -> dict[str, str]:
    """Choose nodes by the plan's labels, and by the one that NVIDIA's feature discovery gives."""
    chosen = dict(plan.node_selector)
    if not plan.gpu or plan.gpu_product is None:
        return chosen
    return chosen | {"nvidia.com/gpu.product": plan.gpu_product.replace(" ", "-")}


def pod_variables(plan: Plan) -> dict[str, str]:
    """Give a Lab its home, and hide every device from one that asked for none.

    Where there are devices the device plug-in names them. Where nothing was asked for, NVIDIA's
    container runtime shows all of them unless it is told otherwise.
    """
    hidden = {} if plan.gpu or _computed(plan) else device_variables(())
    return {"HOME": str(PLACES.home), **hidden}


def _computed(plan: Plan) -> bool:
    """Tell whether a function of a ``profile_list`` says later which devices there are."""
    names = ("extra_resource_limits", "extra_resource_guarantees")
    return any(callable((plan.overrides or {}).get(name)) for name in names)


def claim_name(username: str, slug: str, login: Mapping[str, Any] | None) -> str:
    """Name the claim for a user's home volume.

    User names can come back to somebody else; the pair (iss, sub) cannot, so neither can files.

    Parameters
    ----------
    username
        The user's name at the hub.
    slug
        What KubeSpawner makes of it, collision-free: for users whose login is not known.
    login
        ``iss`` and ``sub`` of the user's login.
    """
    iss, sub = (str((login or {}).get(key) or "") for key in ("iss", "sub"))
    return f"home-{names_of(iss, sub, username).slug if iss and sub else slug}"


def claim_apart(name: str, username: str) -> str:
    """Name a claim where the one of this name is somebody else's.

    Parameters
    ----------
    name
        The name that is taken.
    username
        The user's name at the hub, of which it has a hundred bits of a hash.

    Examples
    --------
    >>> claim_apart("home-a-2db", "a-2db")
    'home-a-2db---e42wiceb3wtzt6nukz4b'
    """
    digest = hashlib.sha256(username.encode("utf-8", "surrogatepass")).digest()
    return f"{name[:40].rstrip('-')}---{base64.b32encode(digest).decode().lower()[:20]}"
