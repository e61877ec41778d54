"""Who gets what: offers, usage, capacity and a request in, a plan or a refusal out.

Pure, and the only place that decides. It runs where every start passes, in `Spawner.start`;
what the page shows comes from the same functions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from af_hub.errors import Refusal
from af_hub.spawner.policy.catalogue import first_choice
from af_hub.spawner.policy.choosing import choose_image, choose_options, not_offered
from af_hub.spawner.policy.options import Options
from af_hub.spawner.policy.plan import Plan
from af_hub.spawner.policy.quota import check_amounts, check_servers
from af_hub.spawner.policy.reasons import Reason
from af_hub.spawner.policy.words import count_in_words, size_in_words
from af_hub.spawner.profile_list.overrides import applied, combined, cores_in, devices_in, memory_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from af_hub.spawner.policy.offers import Amounts, Offer
    from af_hub.spawner.policy.site import Site, Usage


def decide(offered: Sequence[Offer], usage: Usage, site: Site, options: Options) -> Plan:
    """Grant a request or refuse it.

    Parameters
    ----------
    offered
        What the user's groups may have (`af_hub.spawner.policy.catalogue.visible`).
    usage
        Servers that run, without the one asked for.
    site
        What the place has and what is free.
    options
        The request.

    Returns
    -------
    Plan
        Always one that an offer holds.

    Raises
    ------
    Refusal
        With a reason from `Reason`.
    """
    offer = choose(offered, options.profile)
    check_servers(offer, usage)
    plan = check(offer, options)
    _check_now(offer, usage, site, plan)
    return plan


def check(offer: Offer, options: Options) -> Plan:
    """Compare a request with what is offered, whatever runs and whatever is free.

    Parameters
    ----------
    offer
        The profile as the user may have it.
    options
        The request.

    Returns
    -------
    Plan
        What it would get.

    Raises
    ------
    Refusal
        ``not-offered`` or ``image-not-allowed``.
    """
    cpu = _pick(offer, offer.cpu, options.cpu, lambda n: count_in_words(n, "core", "cores"))
    ram = _pick(offer, offer.ram, options.ram, lambda n: f"{size_in_words(n)} of memory")
    gpu, resource = _pick_gpus(offer, options.gpu), offer.gpu_resource
    image = choose_image(offer, options.image)
    chosen = choose_options(offer, options.options)
    overrides = None
    if offer.overrides is not None:
        added = (choice.overrides for choice in chosen.values())
        overrides = combined((offer.overrides, *(each for each in added if each is not None)))
        traits = applied(offer.settings, overrides)
        cpu, ram, (gpu, resource) = cores_in(traits), memory_in(traits), devices_in(traits)
    grant = offer.grant
    for choice in chosen.values():
        image, grant = choice.image or image, grant.plus(choice.grant)
    return Plan(
        profile=offer.name,
        title=offer.title,
        cpu=cpu,
        ram=ram,
        gpu=gpu,
        gpu_product=offer.gpu_product if gpu else None,
        gpu_resource=resource,
        environment=tuple(sorted(grant.environment.items())),
        image=image,
        groups=offer.groups,
        options=tuple((name, choice.name) for name, choice in chosen.items()),
        home=offer.home,
        volumes=grant.volumes,
        node_selector=tuple(sorted(grant.node_selector.items())),
        tolerations=grant.tolerations,
        annotations=tuple(sorted(grant.annotations.items())),
        start_timeout=offer.start_timeout,
        hub_url=offer.hub_url,
        max_lifetime=offer.max_lifetime,
        idle_timeout=offer.idle_timeout,
        gpu_idle_timeout=offer.gpu_idle_timeout,
        overrides=overrides,
    )


def hindrance(offer: Offer, usage: Usage, site: Site) -> Refusal | None:
    """Tell why not even the smallest choice of a profile could start now; None if it could."""
    try:
        check_servers(offer, usage)
        _check_now(offer, usage, site, _least(offer))
    except Refusal as refusal:
        return refusal
    return None


def _least(offer: Offer) -> Plan:
    """Ask for the smallest choices; of a ``profile_list``, whose options decide, for the default."""
    answered = tuple(option for option in offer.options if option.default is not None)
    cpu, ram, gpu = (
        None if amounts is None else amounts.least for amounts in (offer.cpu, offer.ram, offer.gpu)
    )
    return check(replace(offer, options=answered), Options(cpu=cpu, ram=ram, gpu=gpu))


def _check_now(offer: Offer, usage: Usage, site: Site, plan: Plan) -> None:
    """Compare with the largest place, the limits and what is free."""
    _check_size(offer, site, plan.cpu, plan.ram)
    wanted = {"servers": 1, "gpus": plan.gpu, "cpu": plan.cpu, "ram": plan.ram}
    check_amounts(offer, usage, wanted)
    _check_stock(site, plan.gpu, offer.gpu_product, plan.gpu_resource)


def gpu_hindrance(offer: Offer, site: Site, count: int) -> Refusal | None:
    """Tell why a profile could not start with this many graphics processors now."""
    try:
        _check_stock(site, count, offer.gpu_product, offer.gpu_resource)
    except Refusal as refusal:
        return refusal
    return None


def choose(offered: Sequence[Offer], name: str | None) -> Offer:
    """Find the profile among those the user may use.

    Raises
    ------
    Refusal
        ``no-profile`` or ``unknown-profile``.
    """
    preferred = first_choice(offered)
    if preferred is None:
        raise Refusal(
            Reason.NO_PROFILE,
            "No profile of this facility is open to your groups. "
            "Ask the facility's support to be added to a group.",
        )
    if name is None:
        return preferred
    for offer in offered:
        if offer.name == name:
            return offer
    # the same answer whether it exists for others or not at all
    known = ", ".join(offer.name for offer in offered)
    raise Refusal(
        Reason.UNKNOWN_PROFILE,
        f"There is no profile {name!r} for you. You can choose: {known}.",
        status=400,
    )


def _pick(
    offer: Offer, amounts: Amounts | None, wanted: int | None, write: Callable[[int], str]
) -> int:
    """Check an amount against what is offered; 0 leaves it to the spawner's settings."""
    if amounts is None:
        if wanted is not None:
            raise not_offered(offer, write(wanted), ["no choice of it"])
        return 0
    value = amounts.default if wanted is None else wanted
    if value not in amounts.values:
        raise not_offered(offer, write(value), _listed(amounts, write))
    return value


def _listed(amounts: Amounts, write: Callable[[int], str]) -> list[str]:
    """Write what is offered."""
    values = amounts.values
    if isinstance(values, range):
        return [f"{write(values[0])} to {write(values[-1])} in steps of {write(values.step)}"]
    return [write(value) for value in values]


def _check_size(offer: Offer, site: Site, cpu: int, ram: int) -> None:
    """Compare with the largest place there is."""
    if site.cores is not None and cpu > site.cores:
        raise Refusal(
            Reason.TOO_LARGE,
            f"“{offer.title}” needs {cpu} cores, and there are {site.cores} here.",
            status=400,
        )
    if site.memory is not None and ram > site.memory:
        raise Refusal(
            Reason.TOO_LARGE,
            f"“{offer.title}” needs {size_in_words(ram)} of memory, "
            f"and there are {size_in_words(site.memory)} here.",
            status=400,
        )


def _pick_gpus(offer: Offer, wanted: int | None) -> int:
    """Check a number of graphics processors against what is offered."""
    if offer.gpu is None:
        if wanted:
            raise not_offered(offer, f"{wanted} GPUs", ["none"])
        return 0
    return _pick(offer, offer.gpu, wanted, lambda n: count_in_words(n, "GPU", "GPUs"))


def _check_stock(site: Site, count: int, product: str | None, resource: str) -> None:
    """Check a number of graphics processors against what is free."""
    if not count:
        return
    stock = site.gpu_stock(product, resource)
    if stock is None:
        # the cluster lets the server wait, and says what for
        return
    name = product or "GPU"
    if count > stock.total:
        have = "There is no" if stock.total == 0 else f"There are only {stock.total} of"
        raise Refusal(Reason.GPU_MISSING, f"{have} {name} here.", status=400)
    if count > stock.free and not site.queue:
        raise Refusal(
            Reason.GPU_BUSY,
            f"{stock.free} of {stock.total} {name} free now. Try again later.",
            status=409,
        )
