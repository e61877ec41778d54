"""What administrators see: who uses what, who holds which devices, what was refused. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from af_hub.facility.limits import LIMITED
from af_hub.iam.groups import select
from af_hub.spawner.page.compose import device_in_words
from af_hub.spawner.page.standing import meter_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from af_hub.facility.limits import Limit
    from af_hub.spawner.page.content import Meter
    from af_hub.spawner.page.tally import Refused
    from af_hub.spawner.policy.site import Holder, Running, Site

NOBODY = "no group of the catalogue"
"""Where servers stand whose user is in none of the groups that the catalogue names."""

MEANINGS = {
    "invalid-options": "The request had not the right form",
    "no-profile": "No profile is open to the user's groups",
    "unknown-profile": "There is no such profile for this user",
    "not-offered": "The profile does not offer that choice",
    "image-not-allowed": "The image is not on the list of allowed ones",
    "too-large": "No place has so many cores or so much memory",
    "gpu-missing": "There is no such GPU",
    "gpu-busy": "All GPUs were taken",
    "gpu-waiting": "The wait for a GPU took too long",
    "queue-full": "The queue for GPUs was full",
    "user-limit": "The user's own limit was reached",
    "group-limit": "The quota of a group was reached",
    "total-limit": "The limit for everybody was reached",
    "cluster-away": "The cluster did not answer",
    "cluster-refused": "The cluster did not admit the pod or the volume",
    "pod-lost": "The pod was lost before the server was up",
}
"""Reasons in a few words; one that is missing here is shown by its name."""


@dataclass(frozen=True, slots=True)
class GroupUse:
    """What the members of one group use.

    Parameters
    ----------
    name
        The group.
    users
        How many of them run something.
    meters
        Servers, GPUs, cores and memory, with the limit where there is one.
    """

    name: str
    users: int
    meters: tuple[Meter, ...]


@dataclass(frozen=True, slots=True)
class ModelUse:
    """Devices of one model.

    Parameters
    ----------
    name
        ``NVIDIA A100``, ``MIG 1g.5gb``.
    free, total
        How many; None where nobody counts.
    owners
        (owner, how many), who holds most first.
    """

    name: str
    free: int | None
    total: int | None
    owners: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the administrators' page.

    Parameters
    ----------
    totals
        Of everybody.
    users
        How many run something.
    groups
        By name; a server counts for each of its user's groups.
    models
        Devices.
    counted
        Whether free devices are counted.
    refusals
        By reason, with its meaning.
    """

    totals: tuple[Meter, ...]
    users: int
    groups: tuple[GroupUse, ...]
    models: tuple[ModelUse, ...]
    counted: bool
    refusals: tuple[tuple[Refused, str], ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON: the fields, with ``full`` in meters and ``meaning`` in refusals."""
        return {
            "totals": [_meter(each) for each in self.totals],
            "users": self.users,
            "groups": [
                {
                    "name": each.name,
                    "users": each.users,
                    "meters": [_meter(meter) for meter in each.meters],
                }
                for each in self.groups
            ],
            "models": [
                asdict(each) | {"owners": [list(owner) for owner in each.owners]}
                for each in self.models
            ],
            "counted": self.counted,
            "refusals": [asdict(each) | {"meaning": meaning} for each, meaning in self.refusals],
        }


def _meter(meter: Meter) -> dict[str, Any]:
    return asdict(meter) | {"full": meter.full}


def survey(
    running: Sequence[Running],
    site: Site,
    holders: Iterable[Holder],
    limits: Sequence[Limit],
    refusals: Iterable[Refused],
) -> Overview:
    """Sum up who uses what.

    Parameters
    ----------
    running
        All servers.
    site
        What there is and what is free.
    holders
        Who has devices.
    limits
        Those of the facility.
    refusals
        What was counted.

    Returns
    -------
    Overview
        For the page and the API.
    """
    total = [each for each in limits if each.per == "total" and not each.groups]
    return Overview(
        totals=_meters(running, total),
        users=len({each.user for each in running}),
        groups=_groups(running, limits),
        models=_models(site, holders),
        counted=site.gpus is not None,
        refusals=tuple(
            (each, MEANINGS.get(each.reason, each.reason.replace("-", " "))) for each in refusals
        ),
    )


def _groups(running: Sequence[Running], limits: Sequence[Limit]) -> tuple[GroupUse, ...]:
    per_group = [each for each in limits if each.per == "group"]
    # groups with a quota are shown before somebody uses it, unless only a pattern names them
    named = {name for each in per_group for name in each.groups if "*" not in name}
    names = sorted(named | {group for each in running for group in each.groups})
    found = []
    for name in names:
        theirs = [each for each in running if name in each.groups]
        mine = [each for each in per_group if select([name], each.groups)]
        found.append(GroupUse(name, len({each.user for each in theirs}), _meters(theirs, mine)))
    outside = [each for each in running if not each.groups]
    if outside:
        users = len({each.user for each in outside})
        found.append(GroupUse(NOBODY, users, _meters(outside, ())))
    return tuple(found)


def _meters(running: Sequence[Running], limits: Iterable[Limit]) -> tuple[Meter, ...]:
    """Measure everything that limits can count, against the tightest of these limits."""
    rows = []
    for what in LIMITED:
        bounds = [most for each in limits if (most := getattr(each, what)) is not None]
        used = sum(each.amount(what) for each in running)
        rows.append(meter_of(what, used, min(bounds, default=None)))
    return tuple(rows)


def _models(site: Site, holders: Iterable[Holder]) -> tuple[ModelUse, ...]:
    """Put devices and who has them together."""
    owners: dict[str, dict[str, int]] = {}
    for holder in holders:
        mine = owners.setdefault(_model(holder.product, holder.resource), {})
        mine[holder.owner] = mine.get(holder.owner, 0) + holder.number
    stock = {_model(each.product, each.resource): each for each in site.gpus or ()}
    return tuple(
        ModelUse(
            name,
            stock[name].free if name in stock else None,
            stock[name].total if name in stock else None,
            tuple(sorted(owners.get(name, {}).items(), key=lambda item: (-item[1], item[0]))),
        )
        for name in dict.fromkeys((*stock, *sorted(owners)))
    )


def _model(product: str, resource: str) -> str:
    """Name a model: product, and the kind of part where devices are divided."""
    kind = device_in_words(resource)
    if kind == "GPUs":
        return product or "GPUs"
    return f"{product} {kind}".strip()
