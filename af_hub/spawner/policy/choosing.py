"""Image and options of a request, checked against what is offered. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from af_hub.errors import Refusal
from af_hub.facility.images import is_reference, matcher
from af_hub.spawner.policy.reasons import Reason
from af_hub.spawner.profile_list.unlisted import own_choice

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from af_hub.spawner.policy.offers import Offer, OfferedChoice, OfferedOption


def choose_image(offer: Offer, wanted: str | None) -> str | None:
    """Check an image against what is offered.

    Parameters
    ----------
    offer
        The profile.
    wanted
        Name of an image, or a reference; None asks for the default.

    Returns
    -------
    str or None
        The reference; None: the facility's.

    Raises
    ------
    Refusal
        ``image-not-allowed``.
    """
    name = offer.image_default if wanted is None else wanted
    if name is None:
        return offer.image
    for image in offer.images:
        if image.name == name:
            return image.image
    if is_reference(name) and any(_fits(pattern, name) for pattern in offer.own_image):
        return name
    known = ", ".join(image.name for image in offer.images) or "no choice of images"
    own = "; or an image of your own that its rules allow" if offer.own_image else ""
    message = f"“{offer.title}” does not offer the image {_shown(name)}; it offers: {known}{own}."
    raise Refusal(Reason.IMAGE_NOT_ALLOWED, message, status=400)


def choose_options(offer: Offer, wanted: Iterable[tuple[str, str]]) -> dict[str, OfferedChoice]:
    """Check the choices for options against what is offered.

    Parameters
    ----------
    offer
        The profile.
    wanted
        Names of options and of choices.

    Returns
    -------
    dict
        Name of each option of the offer to the choice, in the catalogue's order.

    Raises
    ------
    Refusal
        ``not-offered``.
    """
    asked = dict(wanted)
    chosen = {option.name: _answer(offer, option, asked) for option in offer.options}
    if strange := sorted(asked.keys() - chosen.keys()):
        # the same answer whether it exists for others or not at all
        raise not_offered(offer, f"the option {_shown(strange[0])}", list(chosen) or ["none"])
    return chosen


def not_offered(offer: Offer, asked: str, offered: Sequence[str]) -> Refusal:
    """Return the refusal of something that a profile does not offer."""
    choices = ", ".join(offered)
    message = f"“{offer.title}” does not offer {asked}; it offers: {choices}."
    return Refusal(Reason.NOT_OFFERED, message, status=400)


def _answer(offer: Offer, option: OfferedOption, asked: dict[str, str]) -> OfferedChoice:
    """Find the choice for one option."""
    name = asked.get(option.name, option.default)
    for choice in option.choices:
        if choice.name == name:
            return choice
    if name is not None and option.unlisted is not None:
        return own_choice(option.unlisted, name)
    known = [choice.name for choice in option.choices] or ["a text of your own"]
    raise not_offered(offer, f"{_shown(name)} for “{option.title}”", known)


def _fits(pattern: str, text: str) -> bool:
    """Tell whether all of a text matches."""
    try:
        matcher(pattern).validate_python(text, strict=True)
    except ValidationError:
        return False
    return True


def _shown(text: str | None) -> str:
    """Quote a foreign text for a message: shortened, without control characters."""
    return "nothing" if text is None else ascii(text[:60])[:60]
