"""Who gets what: groups, catalogue, usage, capacity and a request in, a plan or a refusal out.

Pure, and the only place that decides. It runs where every start passes, in `Spawner.start`;
what the page shows comes from the same functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from af_hub.errors import Refusal
from af_hub.spawner.catalogue import first_choice, visible
from af_hub.spawner.reasons import Reason
from af_hub.spawner.words import size_in_words

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from af_hub.facility.profiles import Profile
    from af_hub.spawner.options import Options
    from af_hub.spawner.site import Site, Usage


@dataclass(frozen=True, slots=True)
class Plan:
    """What a server gets.

    Parameters
    ----------
    profile
        Name of the profile.
    title
        Its title.
    cpu
        Cores.
    ram
        Memory in bytes.
    gpu
        Number of graphics processors.
    gpu_product
        Model they must be; None takes any.
    gpu_resource
        Kubernetes resource name of the devices.
    image
        Container image; None takes the facility's.
    environment
        Environment variables as (name, value), taken as they are written.
    max_lifetime
        Seconds after which the server is stopped; None: never.
    """

    profile: str
    title: str
    cpu: int
    ram: int
    gpu: int
    gpu_product: str | None
    environment: tuple[tuple[str, str], ...]
    max_lifetime: float | None
    gpu_resource: str = "nvidia.com/gpu"
    image: str | None = None


def decide(
    groups: Collection[str],
    catalogue: Sequence[Profile],
    usage: Usage,
    site: Site,
    options: Options,
) -> Plan:
    """Grant a request or refuse it.

    Parameters
    ----------
    groups
        The user's groups in canonical form.
    catalogue
        All profiles.
    usage
        Servers that run, without the one asked for.
    site
        What the place has and what is free.
    options
        The request.

    Returns
    -------
    Plan
        Always one that the profile offers and the groups allow.

    Raises
    ------
    Refusal
        With a reason from `Reason`.
    """
    profile = _choose(visible(catalogue, groups), options.profile)
    _check_limits(profile, usage)
    cpu = profile.cpu.default if options.cpu is None else options.cpu
    if cpu not in profile.cpu.choices:
        raise _not_offered(profile, f"{cpu} cores", [str(n) for n in profile.cpu.choices])
    ram = profile.ram.default if options.ram is None else options.ram
    if ram not in profile.ram.choices:
        offered = [size_in_words(size) for size in profile.ram.choices]
        raise _not_offered(profile, f"{size_in_words(ram)} of memory", offered)
    _check_size(profile, site, cpu, ram)
    gpu = _gpus(profile, site, options.gpu)
    return Plan(
        profile=profile.name,
        title=profile.title,
        cpu=cpu,
        ram=ram,
        gpu=gpu,
        gpu_product=profile.gpu.product if profile.gpu and gpu else None,
        environment=tuple(sorted(profile.environment.items())),
        max_lifetime=profile.max_lifetime,
        gpu_resource=profile.gpu.resource if profile.gpu else "nvidia.com/gpu",
        image=profile.image,
    )


def hindrance(profile: Profile, usage: Usage, site: Site) -> Refusal | None:
    """Tell why not even the smallest choice of a profile could start now; None if it could."""
    least_gpu = None if profile.gpu is None else min(profile.gpu.counts)
    try:
        _check_limits(profile, usage)
        _check_size(profile, site, min(profile.cpu.choices), min(profile.ram.choices))
        _gpus(profile, site, least_gpu)
    except Refusal as refusal:
        return refusal
    return None


def gpu_hindrance(profile: Profile, site: Site, count: int) -> Refusal | None:
    """Tell why a profile could not start with this many graphics processors now."""
    try:
        _gpus(profile, site, count)
    except Refusal as refusal:
        return refusal
    return None


def _choose(offered: Sequence[Profile], name: str | None) -> Profile:
    """Find the profile among those the user may use."""
    preferred = first_choice(offered)
    if preferred is None:
        raise Refusal(
            Reason.NO_PROFILE,
            "No profile of this facility is open to your groups. "
            "Ask the facility's support to be added to a group.",
        )
    if name is None:
        return preferred
    for profile in offered:
        if profile.name == name:
            return profile
    # the same answer whether it exists for others or not at all
    known = ", ".join(profile.name for profile in offered)
    raise Refusal(
        Reason.UNKNOWN_PROFILE,
        f"There is no profile {name!r} for you. You can choose: {known}.",
        status=400,
    )


def _check_limits(profile: Profile, usage: Usage) -> None:
    """Count servers that run."""
    mine, total = profile.max_concurrent.per_user, profile.max_concurrent.total
    if mine is not None and usage.mine.get(profile.name, 0) >= mine:
        raise Refusal(
            Reason.USER_LIMIT,
            f"You already run {mine} of {mine} servers of “{profile.title}”. Stop one first.",
            status=409,
        )
    if total is not None and usage.total.get(profile.name, 0) >= total:
        raise Refusal(
            Reason.TOTAL_LIMIT,
            f"All {total} servers of “{profile.title}” are taken. Try again later.",
            status=409,
        )


def _check_size(profile: Profile, site: Site, cpu: int, ram: int) -> None:
    """Compare with the largest place there is."""
    if site.cores is not None and cpu > site.cores:
        raise Refusal(
            Reason.TOO_LARGE,
            f"“{profile.title}” needs {cpu} cores, and there are {site.cores} here.",
            status=400,
        )
    if site.memory is not None and ram > site.memory:
        raise Refusal(
            Reason.TOO_LARGE,
            f"“{profile.title}” needs {size_in_words(ram)} of memory, "
            f"and there are {size_in_words(site.memory)} here.",
            status=400,
        )


def _gpus(profile: Profile, site: Site, wanted: int | None) -> int:
    """Check a number of graphics processors against the profile and what is free."""
    if profile.gpu is None:
        if wanted:
            raise _not_offered(profile, f"{wanted} GPUs", ["none"])
        return 0
    count = profile.gpu.default if wanted is None else wanted
    if count not in profile.gpu.counts:
        raise _not_offered(profile, f"{count} GPUs", [str(n) for n in profile.gpu.counts])
    stock = site.gpu_stock(profile.gpu.product)
    if stock is None:
        # the cluster lets the server wait, and says what for
        return count
    name = profile.gpu.product or "GPU"
    if count > stock.total:
        have = "There is no" if stock.total == 0 else f"There are only {stock.total} of"
        raise Refusal(Reason.GPU_MISSING, f"{have} {name} here.", status=400)
    if count > stock.free:
        raise Refusal(
            Reason.GPU_BUSY,
            f"{stock.free} of {stock.total} {name} free now. Try again later.",
            status=409,
        )
    return count


def _not_offered(profile: Profile, asked: str, offered: list[str]) -> Refusal:
    choices = ", ".join(offered)
    message = f"“{profile.title}” does not offer {asked}; it offers: {choices}."
    return Refusal(Reason.NOT_OFFERED, message, status=400)
