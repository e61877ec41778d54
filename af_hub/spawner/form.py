"""The spawn page: what stands on it (pure) and its HTML."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from af_hub.errors import Refusal
from af_hub.spawner import policy
from af_hub.spawner.catalogue import first_choice
from af_hub.spawner.options import Options, read_options
from af_hub.spawner.policy import gpu_hindrance, hindrance
from af_hub.spawner.words import count_in_words, duration_in_words, size_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from af_hub.spawner.offers import Amounts, Offer
    from af_hub.spawner.site import Site, Usage


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a selector.

    Parameters
    ----------
    value
        What the form sends.
    label
        What people read.
    selected
        Chosen at first.
    blocked
        Why it cannot be chosen now; empty if it can.
    """

    value: int
    label: str
    selected: bool
    blocked: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One profile on the page.

    Parameters
    ----------
    name, title, description
        From the catalogue.
    selected
        Chosen at first.
    blocked
        Why it cannot be started now; empty if it can.
    cpu, ram, gpu
        Selectors; `gpu` is empty if the profile offers none.
    gpu_free
        ``1 of 2 free``; empty if the profile offers none or nobody has counted.
    lifetime
        ``8 h``; empty if there is no limit.
    """

    name: str
    title: str
    description: str
    selected: bool
    blocked: str
    cpu: tuple[Item, ...]
    ram: tuple[Item, ...]
    gpu: tuple[Item, ...]
    gpu_free: str
    lifetime: str


@dataclass(frozen=True, slots=True)
class Page:
    """Everything on the spawn page.

    Parameters
    ----------
    cards
        What the user may see.
    notice
        Why the last choice is not shown; empty if it is.
    """

    cards: tuple[Card, ...]
    notice: str


def compose(offered: Sequence[Offer], usage: Usage, site: Site, saved: object) -> Page:
    """Decide what stands on the page.

    Parameters
    ----------
    offered
        Profiles that the user may see.
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
    name = last.profile or _preferred(offered, usage, site)
    cards = tuple(
        _card(profile, usage, site, last if profile.name == name else Options(), name)
        for profile in offered
    )
    return Page(cards, notice)


@cache
def _environment() -> Environment:
    """Make the template environment: every value is escaped, a missing one is an error."""
    return Environment(
        loader=PackageLoader("af_hub.spawner"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(page: Page, *, remarks: Sequence[str], support: str) -> str:
    """Write the HTML that JupyterHub puts inside its form.

    Parameters
    ----------
    page
        What stands on it.
    remarks
        What users must know about this place.
    support
        Address for help, or an empty text.

    Returns
    -------
    str
        HTML; every text in it is escaped.
    """
    template = _environment().get_template("profiles.html")
    return template.render(page=page, remarks=remarks, support=support)


def _last_choice(offered: Sequence[Offer], saved: object) -> tuple[Options, str]:
    """Take the last choice as far as it is still offered."""
    gone = "Your last choice is no longer offered; the default is selected instead."
    try:
        last = read_options(saved)
    except Refusal:
        return Options(), gone
    if last.profile is None:
        return Options(), ""
    for offer in offered:
        if offer.name == last.profile:
            try:
                policy.check(offer, last)
            except Refusal:
                return Options(profile=offer.name), gone
            return last, ""
    return Options(), gone


def _preferred(offered: Sequence[Offer], usage: Usage, site: Site) -> str:
    """Pick the default, or the first that can be started if the default cannot."""
    able = [profile for profile in offered if hindrance(profile, usage, site) is None]
    chosen = first_choice(offered)
    if chosen not in able:
        chosen = first_choice(able)
    return chosen.name if chosen else ""


def _card(profile: Offer, usage: Usage, site: Site, last: Options, chosen: str) -> Card:
    """Describe one profile."""
    refusal = hindrance(profile, usage, site)
    return Card(
        name=profile.name,
        title=profile.title,
        description=profile.description,
        selected=profile.name == chosen,
        blocked=refusal.message if refusal else "",
        cpu=_items(profile.cpu, last.cpu, site.cores, lambda n: count_in_words(n, "core", "cores")),
        ram=_items(profile.ram, last.ram, site.memory, size_in_words),
        gpu=_gpu_items(profile, site, last),
        gpu_free=_gpu_free(profile, site),
        lifetime=duration_in_words(profile.max_lifetime) if profile.max_lifetime else "",
    )


def _items(
    amounts: Amounts | None, last: int | None, most: int | None, write: Callable[[int], str]
) -> tuple[Item, ...]:
    """Describe the amounts to choose from."""
    if amounts is None:
        return ()
    chosen = amounts.default if last is None else last
    return tuple(
        Item(value, write(value), value == chosen, _too_much(value, most))
        for value in amounts.values
    )


def _gpu_items(profile: Offer, site: Site, last: Options) -> tuple[Item, ...]:
    """Describe the numbers of devices; fall back to the largest that is free."""
    if profile.gpu is None:
        return ()
    refusals = {count: gpu_hindrance(profile, site, count) for count in profile.gpu.values}
    wanted = profile.gpu.default if last.gpu is None else last.gpu
    if refusals[wanted]:
        wanted = max((count for count, no in refusals.items() if no is None), default=wanted)
    return tuple(
        Item(count, _gpu_label(count), count == wanted, refusal.message if refusal else "")
        for count, refusal in refusals.items()
    )


def _gpu_label(count: int) -> str:
    """Name a number of devices."""
    return {0: "no GPU", 1: "1 GPU"}.get(count, f"{count} GPUs")


def _gpu_free(profile: Offer, site: Site) -> str:
    """Say how many devices are free now."""
    if profile.gpu is None:
        return ""
    stock = site.gpu_stock(profile.gpu_product, profile.gpu_resource)
    return "" if stock is None else f"{stock.free} of {stock.total} free"


def _too_much(wanted: int, there: int | None) -> str:
    """Say that there is less here."""
    return "more than there is here" if there is not None and wanted > there else ""
