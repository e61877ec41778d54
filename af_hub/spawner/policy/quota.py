"""How much runs and how much may: the limits of profiles and of the facility. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from af_hub.errors import Refusal
from af_hub.facility.limits import LIMITED
from af_hub.iam.groups import select
from af_hub.spawner.policy.reasons import Reason
from af_hub.spawner.policy.words import amount_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from af_hub.facility.limits import Limit
    from af_hub.spawner.policy.offers import Offer
    from af_hub.spawner.policy.site import Running, Usage


def check_servers(offer: Offer, usage: Usage) -> None:
    """Count servers of the profile.

    Raises
    ------
    Refusal
        ``user-limit``, ``group-limit`` or ``total-limit``.
    """
    limits, title = offer.max_concurrent, offer.title
    mine = _count(usage.select(mine=True, profile=offer.name))
    if limits.per_user is not None and mine >= limits.per_user:
        message = (
            f"You already run {mine} of {limits.per_user} servers of “{title}”. Stop one first."
        )
        raise Refusal(Reason.USER_LIMIT, message, status=409)
    for group in offer.let_in if limits.per_group is not None else ():
        theirs = _count(usage.select(profile=offer.name, groups=(group,)))
        if theirs >= (limits.per_group or 0):
            message = (
                f"All {limits.per_group} servers of “{title}” that the members of {group} may run "
                "are taken. Try again later."
            )
            raise Refusal(Reason.GROUP_LIMIT, message, status=409)
    if limits.total is not None and _count(usage.select(profile=offer.name)) >= limits.total:
        message = f"All {limits.total} servers of “{title}” are taken. Try again later."
        raise Refusal(Reason.TOTAL_LIMIT, message, status=409)


def check_amounts(offer: Offer, usage: Usage, wanted: Mapping[str, int]) -> None:
    """Compare what would run with the facility's limits.

    Parameters
    ----------
    offer
        With the limits that concern the user.
    usage
        What runs.
    wanted
        ``servers``, ``gpus``, ``cpu`` and ``ram`` of the server that is asked for.

    Raises
    ------
    Refusal
        ``user-limit``, ``group-limit`` or ``total-limit``.
    """
    for limit in offer.limits:
        for whose, group, running in accounts(limit, offer, usage):
            held = list(running)
            for what in LIMITED:
                most: int | None = getattr(limit, what)
                used = sum(each.amount(what) for each in held)
                # what takes nothing of it is nobody's loss, even where a limit was lowered
                if most is not None and wanted[what] and used + wanted[what] > most:
                    raise _exceeded(what, whose, group, (used, wanted[what], most))


def accounts(
    limit: Limit, offer: Offer, usage: Usage
) -> Iterator[tuple[Reason, str, Iterable[Running]]]:
    """List whose servers a limit counts together for a user whom it concerns.

    Parameters
    ----------
    limit
        One of the offer's.
    offer
        Knows the user's groups.
    usage
        What runs.

    Yields
    ------
    tuple of (Reason, str, iterable of Running)
        Reason of a refusal, the group (empty: not of one group), and the servers.
    """
    if limit.per == "user":
        yield Reason.USER_LIMIT, "", usage.select(mine=True)
    elif limit.per == "group":
        for group in select(offer.groups, limit.groups):
            yield Reason.GROUP_LIMIT, group, usage.select(groups=(group,))
    else:
        members = (
            each for each in usage.running if not limit.groups or select(each.groups, limit.groups)
        )
        yield Reason.TOTAL_LIMIT, "", members


def _exceeded(what: str, reason: Reason, group: str, amounts: tuple[int, int, int]) -> Refusal:
    """Say whose limit is reached."""
    used, wanted, most = (amount_in_words(what, each) for each in amounts)
    if reason is Reason.USER_LIMIT:
        said = f"Your servers may hold {most} together: {used} in use, and this one takes {wanted}."
        hint = "Stop one or choose less."
    elif reason is Reason.GROUP_LIMIT:
        said = (
            f"The quota of {group} is reached: its members may hold {most} together, {used} in use, "
            f"and this server takes {wanted}."
        )
        hint = "Choose less or try again later."
    else:
        said = f"Of {most} together, {used} in use, and this server takes {wanted}."
        hint = "Choose less or try again later."
    return Refusal(reason, f"{said} {hint}", status=409)


def _count(running: Iterable[Running]) -> int:
    return sum(each.servers for each in running)
