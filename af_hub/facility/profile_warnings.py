"""What the catalogue allows although it is probably not meant. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from af_hub.facility.limits import Limit
    from af_hub.facility.profiles import Profile


_SHORT_IDLENESS = 600.0
"""Seconds."""


def profile_warnings(profiles: Sequence[Profile], limits: Sequence[Limit]) -> Iterator[str]:
    """List what is allowed but probably not meant, one sentence each."""
    for position, profile in enumerate(profiles):
        here = f"profiles[{position}]"
        if profile.users_bring_images:
            yield (
                f"{here}.image.own: what users bring can attack the hub's pages from their Labs, unless "
                "each user has a subdomain (JupyterHub.subdomain_host)."
            )
        least = _least(profile)
        for number, limit in enumerate(limits):
            # of a limit for some groups only, nobody may be meant
            short = [
                what
                for what, amount in least.items()
                if not limit.groups and (most := getattr(limit, what)) is not None and amount > most
            ]
            if short:
                yield f"{here} can never be started: limits[{number}].{short[0]} allows less."
        yield from _loose_tags(here, profile)
        yield from _idle_times(here, profile)


def _least(profile: Profile) -> dict[str, int]:
    """Find the smallest server of a profile."""
    cpu, ram = profile.cpu, profile.ram
    return {
        "servers": 1,
        "cpu": cpu.min or min((each.value for each in cpu.choices), default=0),
        "ram": ram.min or min((each.value for each in ram.choices), default=0),
        "gpus": min(each.value for each in profile.gpu.counts) if profile.gpu else 0,
    }


def _idle_times(here: str, profile: Profile) -> Iterator[str]:
    """Find limits on idleness that never come, or come before anybody can react."""
    idle, gpu_idle = profile.idle_timeout, profile.gpu_idle_timeout
    if gpu_idle is not None and profile.gpu is None:
        yield f"{here}.gpu_idle_timeout has no effect: the profile offers no GPU."
    for name, length in (("idle_timeout", idle), ("gpu_idle_timeout", gpu_idle)):
        if length is None:
            continue
        if profile.max_lifetime is not None and length >= profile.max_lifetime:
            yield f"{here}.{name} has no effect: max_lifetime is over first."
        if length < _SHORT_IDLENESS:
            yield f"{here}.{name} is shorter than 10 min: who goes for a coffee loses the server."


def _loose_tags(here: str, profile: Profile) -> Iterator[str]:
    """Find images that may be another one tomorrow."""
    for image in dict.fromkeys(profile.references()):
        name = image.rpartition("/")[2]
        if "@" not in name and (":" not in name or name.endswith(":latest")):
            yield (
                f"{here}: the image {image} changes when somebody pushes it again, and nodes keep the "
                "old one; name it by digest or by a tag that stays."
            )
