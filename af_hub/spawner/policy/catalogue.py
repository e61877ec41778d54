"""From the catalogue to what a user may have. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from af_hub.iam.groups import matches_any, select, stored
from af_hub.spawner.policy.offers import Amounts, Grant, Offer, OfferedChoice, OfferedOption
from af_hub.spawner.policy.plan import NVIDIA

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from af_hub.facility.access import Access
    from af_hub.facility.amounts import CpuChoice, Gpu, RamChoice
    from af_hub.facility.choices import Option
    from af_hub.facility.images import ImageChoice
    from af_hub.facility.limits import Limit
    from af_hub.facility.placement import Additions
    from af_hub.facility.profiles import Profile


def visible(
    profiles: Sequence[Profile], groups: Collection[str], limits: Sequence[Limit] = ()
) -> tuple[Offer, ...]:
    """Make the offers for a member of these groups.

    Parameters
    ----------
    profiles
        The catalogue, in the order of the facility file.
    groups
        The user's groups in canonical form (``/cms/uscms``).
    limits
        The facility's limits.

    Returns
    -------
    tuple of Offer
        In the same order; possibly empty, and then nothing can be started. A profile of whose cores,
        memory, devices or images the user may choose none is not offered.
    """
    # thousands of groups are looked through once, not at every choice
    patterns = tuple(dict.fromkeys(_patterns(profiles, limits)))
    known = select(sorted(groups), patterns)
    counted = _counted(known, profiles, limits)
    applying = _applying(known, limits)
    made = (_offer(profile, known) for profile in profiles if may_use(profile, known))
    return tuple(
        Offer(**parts, groups=counted, limits=applying) for parts in made if parts is not None
    )


def concerning(
    groups: Collection[str], limits: Sequence[Limit]
) -> tuple[tuple[str, ...], tuple[Limit, ...]]:
    """Find which groups the limits name, and which limits concern a member of these groups.

    Parameters
    ----------
    groups
        The user's groups.
    limits
        The facility's limits.
    """
    known = select(sorted(groups), [pattern for each in limits for pattern in each.groups])
    return known, _applying(known, limits)


def first_choice(offered: Sequence[Offer]) -> Offer | None:
    """Pick what is chosen at first: the default profile, else the first; None of nothing."""
    return next((offer for offer in offered if offer.default), next(iter(offered), None))


def may_use(thing: Access, groups: Collection[str]) -> bool:
    """Tell whether a member of these groups may see and choose something."""
    if matches_any(groups, thing.denied_groups):
        return False
    return not thing.allowed_groups or matches_any(groups, thing.allowed_groups)


def _patterns(profiles: Iterable[Profile], limits: Iterable[Limit]) -> Iterator[str]:
    """List every pattern that stands anywhere in the catalogue."""
    for profile in profiles:
        for thing in profile.restricted():
            yield from thing.allowed_groups
            yield from thing.denied_groups
    for limit in limits:
        yield from limit.groups


def _applying(known: Collection[str], limits: Sequence[Limit]) -> tuple[Limit, ...]:
    """Choose the limits that concern a member of these groups."""
    return tuple(each for each in limits if not each.groups or matches_any(known, each.groups))


def _counted(
    known: Collection[str], profiles: Sequence[Profile], limits: Sequence[Limit]
) -> tuple[str, ...]:
    """Choose the groups for which a server counts."""
    counting = [pattern for limit in limits for pattern in limit.groups]
    for profile in profiles:
        if profile.max_concurrent.per_group is not None:
            counting.extend(profile.allowed_groups)
    limited = select(known, counting)
    let_in = stored(known, [pattern for each in profiles for pattern in each.allowed_groups])
    return tuple(sorted({*limited, *let_in}))


def _offer(profile: Profile, groups: Collection[str]) -> dict[str, Any] | None:
    """Keep of a profile what its user may choose; None if something necessary is missing."""
    cpu, ram = _amounts(profile.cpu, groups), _amounts(profile.ram, groups)
    gpu = None if profile.gpu is None else _gpu(profile.gpu, groups)
    image = _image(profile.image, groups)
    if cpu is None or ram is None or image is None or (profile.gpu is not None and gpu is None):
        return None
    options = (_option(option, groups) for option in profile.options if may_use(option, groups))
    return {
        "name": profile.name,
        "title": profile.title,
        "description": profile.description,
        "default": profile.default,
        "cpu": cpu,
        "ram": ram,
        "gpu": gpu,
        "gpu_product": profile.gpu.product if profile.gpu else None,
        "gpu_resource": profile.gpu.resource if profile.gpu else NVIDIA,
        **image,
        "options": tuple(option for option in options if option is not None),
        "grant": _grant(profile, groups),
        "home": profile.home,
        "let_in": select(groups, profile.allowed_groups),
        "max_concurrent": profile.max_concurrent,
        "start_timeout": profile.start_timeout,
        "hub_url": profile.hub_url,
        "max_lifetime": profile.max_lifetime,
        "idle_timeout": profile.idle_timeout,
        "gpu_idle_timeout": profile.gpu_idle_timeout,
    }


def _amounts(choice: CpuChoice | RamChoice, groups: Collection[str]) -> Amounts | None:
    """Keep the values that the user may choose."""
    if choice.min is not None:
        return Amounts(choice.steps(), choice.default)
    values = tuple(each.value for each in choice.choices if may_use(each, groups))
    return _with_default(values, choice.default)


def _gpu(gpu: Gpu, groups: Collection[str]) -> Amounts | None:
    """Keep the numbers of devices that the user may choose."""
    values = tuple(each.value for each in gpu.counts if may_use(each, groups))
    return _with_default(values, gpu.default)


def _with_default(values: tuple[int, ...], default: int) -> Amounts | None:
    """Take the first value where the default is not left."""
    if not values:
        return None
    return Amounts(values, default if default in values else values[0])


def _image(choice: ImageChoice | None, groups: Collection[str]) -> dict[str, Any] | None:
    """Keep the images that the user may choose."""
    if choice is None or choice.fixed is not None:
        return {"image": None if choice is None else choice.fixed}
    images = tuple(each for each in choice.choices if may_use(each, groups))
    own = choice.own if choice.own is not None and may_use(choice.own, groups) else None
    if not images and choice.choices:
        return None
    names = [each.name for each in images]
    default = choice.default if choice.default in names else next(iter(names), None)
    patterns = own.patterns if own is not None else ()
    return {"images": images, "image_default": default, "own_image": patterns}


def _option(option: Option, groups: Collection[str]) -> OfferedOption | None:
    """Keep the answers that the user may give; None if there are none."""
    mine = [choice for choice in option.choices if may_use(choice, groups)]
    if not mine:
        return None
    default = next((choice for choice in mine if choice.default), mine[0])
    choices = tuple(
        OfferedChoice(each.name, each.title, each.description, each.image, _grant(each, groups))
        for each in mine
    )
    return OfferedOption(option.name, option.title, choices, default.name)


def _grant(additions: Additions, groups: Collection[str]) -> Grant:
    """Keep what the user may have of the additions."""
    return Grant(
        environment=additions.environment,
        volumes=tuple(volume for volume in additions.volumes if may_use(volume, groups)),
        node_selector=additions.node_selector,
        tolerations=additions.tolerations,
        annotations=additions.annotations,
    )
