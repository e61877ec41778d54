"""What stands in a Lab's pod beside KubeSpawner's own: places, volumes, devices. Pure.

KubeSpawner formats ``{…}`` in many of its traits, and Kubernetes replaces ``$(NAME)`` in variables.
Nothing here goes through a trait, and what people have written is marked as literal.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from af_hub.iam.names import names_of
from af_hub.spawner.folders import Folders
from af_hub.spawner.lab_environment import device_variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from af_hub.spawner.plan import Plan

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


def volumes(claim: str | None, ca_config_map: str) -> Iterator[tuple[dict[str, Any], str, bool]]:
    """List what is mounted into the Lab.

    Parameters
    ----------
    claim
        Name of the user's claim for a home volume; None: no volume.
    ca_config_map
        Name of the ConfigMap with the facility's authorities, or an empty text.

    Yields
    ------
    tuple of (dict, str, bool)
        A volume, where it is mounted, and whether it is read-only there.
    """
    memory = {"medium": "Memory", "sizeLimit": "16Mi"}
    yield {"name": "af-runtime", "emptyDir": memory}, str(_MEMORY), False
    if claim is not None:
        home = {"name": "af-home", "persistentVolumeClaim": {"claimName": claim}}
        yield home, str(PLACES.home), False
    if ca_config_map:
        authorities = {"name": "af-authorities", "configMap": {"name": ca_config_map}}
        yield authorities, str(AUTHORITIES), True


def device_limits(plan: Plan) -> dict[str, str]:
    """Ask the cluster for the plan's graphics processors."""
    return {plan.gpu_resource: str(plan.gpu)} if plan.gpu else {}


def device_labels(plan: Plan) -> dict[str, str]:
    """Choose nodes by the label that NVIDIA's feature discovery gives them."""
    if not plan.gpu or plan.gpu_product is None:
        return {}
    return {"nvidia.com/gpu.product": plan.gpu_product.replace(" ", "-")}


def pod_variables(plan: Plan) -> dict[str, str]:
    """Give a Lab its home, and hide every device from one that asked for none.

    Where there are devices the device plug-in names them. Where nothing was asked for, NVIDIA's
    container runtime shows all of them unless it is told otherwise.
    """
    hidden = {} if plan.gpu else device_variables(())
    return {"HOME": str(PLACES.home), **hidden}


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
