"""What can be chosen on a card of the spawn page, and what cannot and why. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from af_hub.errors import Refusal
from af_hub.spawner.page.content import Control, Item, Scale
from af_hub.spawner.policy import decision
from af_hub.spawner.policy.quota import accounts, check_amounts
from af_hub.spawner.policy.words import count_in_words, size_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from af_hub.spawner.page.content import Kind
    from af_hub.spawner.policy.offers import Amounts, Offer, OfferedOption
    from af_hub.spawner.policy.options import Options
    from af_hub.spawner.policy.site import GpuModel, Site, Usage

    What = Literal["cpu", "ram", "gpus"]
    Barrier = Callable[[int], str]

_MOST_BUTTONS = 7
_MOST_LETTERS = 44
"""Letters on all buttons of one line."""
_FEW_STEPS = 5
"""A slider of so few steps is better as buttons."""


def questions(offer: Offer, usage: Usage, site: Site, last: Options) -> Iterator[Control]:
    """List the questions of a card.

    Parameters
    ----------
    offer
        The profile as the user may have it.
    usage
        Servers that run.
    site
        What there is and what is free.
    last
        What was chosen last; nothing if this card was not.

    Yields
    ------
    Control
        In the order in which they stand on the card.
    """
    if offer.cpu is not None:
        yield _cores(offer.cpu, last.cpu, _barrier(offer, usage, "cpu", site.cores))
    if offer.ram is not None:
        yield _memory(offer.ram, last.ram, _barrier(offer, usage, "ram", site.memory))
    if offer.gpu is not None:
        yield _devices(offer, offer.gpu, usage, site, last.gpu)
    if offer.images or offer.own_image:
        yield _images(offer, last.image)
    asked = dict(last.options)
    for option in offer.options:
        yield _option(option, asked.get(option.name))


def _barrier(offer: Offer, usage: Usage, what: What, there: int | None) -> Barrier:
    """Make what tells why an amount cannot be had now, with an empty text if it can."""
    write = cores_in_words if what == "cpu" else size_in_words
    nothing = {"servers": 0, "gpus": 0, "cpu": 0, "ram": 0}
    # a slider has many values, and everybody's servers are added up for none of them
    room = room_for(offer, usage, what)

    def barrier(amount: int) -> str:
        if there is not None and amount > there and what != "gpus":
            return f"there is no place with more than {write(there)}."
        if room is None or amount <= room:
            return ""
        try:
            check_amounts(offer, usage, nothing | {what: amount})
        except Refusal as refusal:
            return refusal.message
        return ""

    return barrier


def room_for(offer: Offer, usage: Usage, what: What) -> int | None:
    """Return how much more the limits leave; None: there is no limit."""
    left = [
        most - sum(each.amount(what) for each in running)
        for limit in offer.limits
        if (most := getattr(limit, what)) is not None
        for _, _, running in accounts(limit, offer, usage)
    ]
    return min(left, default=None)


def _cores(amounts: Amounts, last: int | None, barrier: Barrier) -> Control:
    if (control := _slider("cpu", "Cores", amounts, last, barrier)) is not None:
        return control
    items = _items(amounts, last, barrier, str, cores_in_words)
    return _picked("cpu", "Cores", "cpu", items, _span(amounts.values, cores_in_words))


def _memory(amounts: Amounts, last: int | None, barrier: Barrier) -> Control:
    if (control := _slider("ram", "Memory", amounts, last, barrier)) is not None:
        return control
    items = _items(amounts, last, barrier, size_in_words, size_in_words)
    return _picked("ram", "Memory", "ram", items, _span(amounts.values, size_in_words))


def _devices(offer: Offer, counts: Amounts, usage: Usage, site: Site, last: int | None) -> Control:
    quota = _barrier(offer, usage, "gpus", None)

    def barrier(count: int) -> str:
        refusal = decision.gpu_hindrance(offer, site, count)
        return refusal.message if refusal else quota(count)

    stock = site.gpu_stock(offer.gpu_product, offer.gpu_resource) if site.queue else None
    items = tuple(
        replace(item, note=_wait(stock, int(item.value)))
        for item in _items(
            counts, last, barrier, lambda n: str(n) if n else "none", devices_in_words
        )
    )
    most = max(counts.values)
    few = len(counts.values) == 1
    span = devices_in_words(most) if few else f"up to {devices_in_words(most)}"
    return _picked("gpu", "GPUs", "gpu", items, span)


def _wait(stock: GpuModel | None, count: int) -> str:
    """Say that a start would wait, where there is a queue."""
    if stock is None or not stock.free < count <= stock.total:
        return ""
    return f"{stock.free} of {stock.total} free now: your server would wait in line."


def _images(offer: Offer, last: str | None) -> Control:
    names = {each.name for each in offer.images}
    own = last if last is not None and last not in names else ""
    chosen = last if last in names else offer.image_default
    items = [
        Item(each.name, each.title, selected=not own and each.name == chosen, words=each.title)
        for each in offer.images
    ]
    if not items:
        items = [Item("", "The facility's", selected=not own, words="the facility's image")]
    span = items[0].words if len(items) == 1 else f"{len(items)} images"
    if offer.own_image:
        return Control(
            "image",
            "Image",
            "image",
            "list",
            f"{span} or your own",
            tuple(items),
            own="My own image…",
            own_value=own,
            own_label="Reference of my own image",
            own_example="registry.example.org/project/name:tag",
        )
    return _picked("image", "Image", "image", tuple(items), span)


def _option(option: OfferedOption, last: str | None) -> Control:
    names = {choice.name for choice in option.choices}
    own = last if option.unlisted is not None and last is not None and last not in names else ""
    chosen = last if last in names else option.default
    items = tuple(
        Item(
            choice.name,
            choice.title,
            selected=not own and choice.name == chosen,
            words=choice.title,
            note=choice.description,
        )
        for choice in option.choices
    )
    key = f"options.{option.name}"
    span = items[0].words if len(items) == 1 else f"{option.title}: {len(items)} choices"
    if option.unlisted is not None:
        return Control(
            key,
            option.title,
            "option",
            "list",
            span if items else option.title,
            items,
            own=f"{option.unlisted.title}…",
            own_value=own,
            own_label=option.unlisted.title,
        )
    return _picked(key, option.title, "option", items, span)


def _items(
    amounts: Amounts,
    last: int | None,
    barrier: Barrier,
    label: Callable[[int], str],
    words: Callable[[int], str],
) -> tuple[Item, ...]:
    """Describe amounts; where the wanted one cannot be had, the largest below it is selected."""
    barriers = {value: barrier(value) for value in amounts.values}
    wanted = _attainable(amounts, last, barriers)
    return tuple(
        Item(str(value), label(value), value == wanted, why, words(value))
        for value, why in barriers.items()
    )


def _attainable(amounts: Amounts, last: int | None, barriers: dict[int, str]) -> int:
    wanted = amounts.default if last is None else last
    if barriers.get(wanted, ""):
        able = [value for value, why in barriers.items() if not why]
        smaller = [value for value in able if value <= wanted]
        wanted = max(smaller, default=min(able, default=wanted))
    return wanted


def _picked(key: str, label: str, icon: str, items: tuple[Item, ...], span: str) -> Control:
    """Choose how values look: a word, buttons or a list."""
    kind: Kind = "list"
    if len(items) == 1:
        kind = "fixed"
    elif len(items) <= _MOST_BUTTONS and sum(len(item.label) for item in items) <= _MOST_LETTERS:
        kind = "segments"
    return Control(key, label, icon, kind, span, items)


def _slider(
    key: Literal["cpu", "ram"], label: str, amounts: Amounts, last: int | None, barrier: Barrier
) -> Control | None:
    """Make a slider of a range, as far as it can be had; None if it is none, or too short."""
    values = amounts.values
    if not isinstance(values, range) or len(values) <= _FEW_STEPS:
        return None
    write = cores_in_words if key == "cpu" else size_in_words
    reach = _reach(values, barrier)
    most = values[max(reach, 1) - 1]
    wanted = amounts.default if last is None else last
    value = min(wanted, most)
    why = barrier(values[reach]) if reach < len(values) else ""
    scale = Scale(
        least=values[0],
        most=most,
        step=values.step,
        value=value,
        unit="cores" if key == "cpu" else "bytes",
        shown=write(value),
        least_shown=write(values[0]),
        most_shown=write(most),
        why=f"Not more now: {why}" if why else "",
    )
    return Control(key, label, key, "range", _span(values, write), scale=scale)


def _reach(values: range, barrier: Barrier) -> int:
    """Count the values that can be had: of two amounts the larger one is refused first."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if barrier(values[middle]):
            high = middle
        else:
            low = middle + 1
    return low


def _span(values: Sequence[int], write: Callable[[int], str]) -> str:
    """Write from where to where values go.

    Examples
    --------
    >>> _span((1, 2, 8), cores_in_words)
    '1 to 8 cores'
    """
    least, most = min(values), max(values)
    if least == most:
        return write(least)
    unit = write(most).partition(" ")[2]
    number, _, other = write(least).partition(" ")
    same = other in {unit, unit.removesuffix("s")}
    return f"{number if same else write(least)} to {write(most)}"


def cores_in_words(count: int) -> str:
    """Write a number of cores."""
    return count_in_words(count, "core", "cores")


def devices_in_words(count: int) -> str:
    """Write a number of devices."""
    return count_in_words(count, "GPU", "GPUs") if count else "no GPU"
