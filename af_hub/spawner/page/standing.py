"""How much of which quota is in use, for the person in front of the spawn page. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from af_hub.facility.limits import LIMITED
from af_hub.spawner.page.content import Meter, Share
from af_hub.spawner.policy.quota import accounts
from af_hub.spawner.policy.words import size_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from af_hub.facility.limits import Limit
    from af_hub.spawner.policy.offers import Offer
    from af_hub.spawner.policy.site import Running, Usage

_YOU, _ALL = "You", "Everybody"
_NAMES = {"servers": "Servers", "gpus": "GPUs", "cpu": "Cores", "ram": "Memory"}


def shares(offered: Sequence[Offer], usage: Usage) -> tuple[Share, ...]:
    """Say what the user, the user's groups and everybody use, and of how much.

    Parameters
    ----------
    offered
        What the user may have; the limits stand in it.
    usage
        What runs.

    Returns
    -------
    tuple of Share
        The user first, then groups by name, then everybody. What has a limit is always told; what has
        none only while there is something to tell.
    """
    if not offered:
        return ()
    offer = offered[0]
    tight: dict[str, dict[str, Meter]] = {}
    for limit in offer.limits:
        for _, group, running in accounts(limit, offer, usage):
            held = list(running)
            meters = tight.setdefault(_title(limit, group), {})
            for what in LIMITED:
                most: int | None = getattr(limit, what)
                if most is not None:
                    _keep_tighter(meters, what, meter_of(what, _sum(held, what), most))
    for title, running in (
        (_YOU, usage.select(mine=True)),
        *((group, usage.select(groups=(group,))) for group in offer.groups),
    ):
        held = list(running)
        for what in ("servers", "gpus"):
            if used := _sum(held, what):
                tight.setdefault(title, {}).setdefault(what, meter_of(what, used, None))
    order = sorted(tight, key=lambda title: (title != _YOU, title.startswith(_ALL), title))
    return tuple(
        Share(title, tuple(tight[title][what] for what in LIMITED if what in tight[title]))
        for title in order
    )


def meter_of(what: str, used: int, most: int | None) -> Meter:
    """Write how much of one thing is used.

    Parameters
    ----------
    what
        ``servers``, ``gpus``, ``cpu`` or ``ram``.
    used, most
        Numbers, or bytes; `most` None without a limit.

    Examples
    --------
    >>> meter_of("gpus", 3, 8).text, meter_of("ram", 2 * 1024**3, None).text
    ('3 of 8', '2 GiB')
    """
    write = size_in_words if what == "ram" and used else str
    if most is None:
        return Meter(_NAMES[what], write(used))
    limit = size_in_words(most) if what == "ram" else str(most)
    part = min(1.0, used / most) if most else 1.0
    return Meter(_NAMES[what], f"{write(used)} of {limit}", round(part, 4))


def _title(limit: Limit, group: str) -> str:
    """Say whose servers a limit counts."""
    if limit.per == "user":
        return _YOU
    if limit.per == "group":
        return group
    return f"{_ALL} of {', '.join(limit.groups)}" if limit.groups else _ALL


def _keep_tighter(meters: dict[str, Meter], what: str, meter: Meter) -> None:
    """Keep the limit that is reached first."""
    known = meters.get(what)
    if known is None or (meter.part or 0) > (known.part or 0):
        meters[what] = meter


def _sum(running: Iterable[Running], what: str) -> int:
    return sum(each.amount(what) for each in running)
