"""Environment variables of a Lab: what tools expect, and nothing secret. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from af_hub.spawner.local.folders import Folders
    from af_hub.spawner.policy.plan import Plan


@dataclass(frozen=True, slots=True)
class LabFacts:
    """What the variables are made of.

    Parameters
    ----------
    user
        Name of the user at the hub.
    groups
        Groups in canonical form, sorted.
    profile
        What the policy granted.
    folders
        The server's places.
    mark
        Text that only the processes of this server carry.
    """

    user: str
    groups: tuple[str, ...]
    profile: Plan
    folders: Folders
    mark: str


def lab_variables(facility: Mapping[str, str], facts: LabFacts) -> dict[str, str]:
    """Make the variables of one Lab.

    Parameters
    ----------
    facility
        What the facility file says for every Lab.
    facts
        What is special to this one.

    Returns
    -------
    dict
        Name to value. Later ones win: the profile's own, the facility's, ours.
    """
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS")
    return {
        **dict(facts.profile.environment),
        **facility,
        "AF_USER": facts.user,
        "AF_GROUPS": ",".join(facts.groups),
        "AF_PROFILE": facts.profile.profile,
        "AF_SERVER": facts.mark,
        "BEARER_TOKEN_FILE": str(facts.folders.token_file),
        "AF_TOKEN_DIR": str(facts.folders.tokens),
        "OIDC_SOCK": str(facts.folders.agent_socket),
        "RUCIO_CONFIG": str(facts.folders.rucio_config),
        "XDG_RUNTIME_DIR": str(facts.folders.runtime),
        "JUPYTER_RUNTIME_DIR": str(facts.folders.runtime / "jupyter"),
        # numerical libraries count the machine's cores, not those they may use
        **(dict.fromkeys(threads, str(facts.profile.cpu)) if facts.profile.cpu else {}),
    }


def device_variables(devices: Sequence[str]) -> dict[str, str]:
    """Show a Lab these graphics processors, by identifier, and hide all others."""
    visible = ",".join(devices)
    # empty hides every device
    return {"CUDA_VISIBLE_DEVICES": visible, "NVIDIA_VISIBLE_DEVICES": visible or "void"}
