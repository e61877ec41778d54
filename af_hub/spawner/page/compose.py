"""From what a user may have to what stands on the spawn page. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from af_hub.errors import Refusal
from af_hub.spawner.page.content import Card, Fact, Free, Page
from af_hub.spawner.page.questions import questions
from af_hub.spawner.page.standing import shares
from af_hub.spawner.policy import decision
from af_hub.spawner.policy.catalogue import first_choice
from af_hub.spawner.policy.options import Options, read_options
from af_hub.spawner.policy.words import duration_in_words, size_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from af_hub.spawner.policy.offers import Offer
    from af_hub.spawner.policy.site import Site, Usage

GONE = "Your last choice is no longer offered; the default is selected instead."


def compose(offered: Sequence[Offer], usage: Usage, site: Site, saved: object) -> Page:
    """Decide what stands on the page.

    Parameters
    ----------
    offered
        What the user may have.
    usage
        Servers that run.
    site
        What there is and what is free.
    saved
        ``user_options`` of the last start; anything may be in it.

    Returns
    -------
    Page
        With the last choice selected, or with the default and a notice.
    """
    last, notice = _last_choice(offered, saved)
    refusals = {offer.name: decision.hindrance(offer, usage, site) for offer in offered}
    able = [offer for offer in offered if refusals[offer.name] is None]
    name = last.profile or _preferred(offered, able)
    cards = tuple(
        replace(
            _card(offer, usage, site, last if offer.name == name else Options()),
            selected=offer.name == name,
            blocked=refusal.message if (refusal := refusals[offer.name]) else "",
        )
        for offer in offered
    )
    return Page(cards, notice, shares(offered, usage))


def _last_choice(offered: Sequence[Offer], saved: object) -> tuple[Options, str]:
    """Take the last choice as far as it is still offered."""
    try:
        last = read_options(saved)
    except Refusal:
        return Options(), GONE
    if last.profile is None:
        return Options(), ""
    for offer in offered:
        if offer.name == last.profile:
            try:
                decision.check(offer, last)
            except Refusal:
                return Options(profile=offer.name), GONE
            return last, ""
    return Options(), GONE


def _preferred(offered: Sequence[Offer], able: Sequence[Offer]) -> str:
    """Pick the default, or the first that can be started if the default cannot."""
    chosen = first_choice(offered)
    if chosen not in able:
        chosen = first_choice(able)
    return chosen.name if chosen else ""


def _card(offer: Offer, usage: Usage, site: Site, last: Options) -> Card:
    """Describe one profile."""
    return Card(
        name=offer.name,
        title=offer.title,
        description=offer.description,
        selected=False,
        blocked="",
        controls=tuple(questions(offer, usage, site, last)),
        facts=tuple(_facts(offer, site)),
        free=_free(offer, site),
    )


def _facts(offer: Offer, site: Site) -> Iterator[Fact]:
    """List what the profile holds and nobody chooses."""
    if offer.image is not None:
        yield Fact("image", _image_in_words(offer.image), minor=True)
    for volume in offer.grant.volumes:
        size = f"{size_in_words(volume.size)} " if volume.size else ""
        yield Fact("volume", f"{size}{volume.place}", minor=True)
    if not offer.home:
        yield Fact("warning", "no home folder: files are gone with the server")
    if offer.gpu is not None and site.gpus is None:
        yield Fact("gpu", "free GPUs are not counted here: a start waits for one", minor=True)
    if offer.max_lifetime:
        yield Fact("time", f"stops after {duration_in_words(offer.max_lifetime)}")
    if offer.idle_timeout:
        yield Fact("time", f"stops when idle for {duration_in_words(offer.idle_timeout)}")
    if offer.gpu_idle_timeout:
        idle = duration_in_words(offer.gpu_idle_timeout)
        yield Fact("time", f"stops when its GPUs are idle for {idle}")


def _image_in_words(reference: str) -> str:
    """Write an image without its registry and its digest."""
    name, _, digest = reference.partition("@")
    short = name.rsplit("/", 1)[-1]
    return f"{short} (fixed)" if digest and ":" not in short else short


def _free(offer: Offer, site: Site) -> Free | None:
    """Say how many devices are free now."""
    if offer.gpu is None:
        return None
    stock = site.gpu_stock(offer.gpu_product, offer.gpu_resource)
    if stock is None or stock.total == 0:
        # that there is none at all is the card's reason
        return None
    name = offer.gpu_product or device_in_words(offer.gpu_resource)
    return Free(stock.free, stock.total, f"{name}: {stock.free} of {stock.total} free")


def device_in_words(resource: str) -> str:
    """Name devices by their Kubernetes resource.

    Examples
    --------
    >>> device_in_words("nvidia.com/gpu"), device_in_words("nvidia.com/mig-1g.5gb")
    ('GPUs', 'MIG 1g.5gb')
    """
    name = resource.rpartition("/")[2]
    if name == "gpu":
        return "GPUs"
    return f"MIG {name.removeprefix('mig-')}" if name.startswith("mig-") else name
