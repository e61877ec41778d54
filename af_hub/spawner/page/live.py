"""What changes on an open spawn page, as JSON. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from af_hub.spawner.page.content import Card, Control, Page


def state_of(page: Page) -> dict[str, Any]:
    """Describe what may have changed since the page was opened.

    Parameters
    ----------
    page
        As it would look if it was opened now.

    Returns
    -------
    dict
        ``profiles``: a list of ``name``, ``blocked`` (why it cannot be started; empty if it can),
        ``free`` (``free``, ``total``, ``text``, or null) and ``choices`` (key to ``blocked``, values
        that cannot be chosen, ``why``, ``notes`` on values, and for a slider ``most`` and ``most_shown``); ``usage``: a list of ``title`` and ``meters`` (``what``,
        ``text``, ``part`` of the limit or null, ``full``).
    """
    return {
        "profiles": [_card(card) for card in page.cards],
        "usage": [
            {
                "title": share.title,
                "meters": [asdict(meter) | {"full": meter.full} for meter in share.meters],
            }
            for share in page.usage
        ],
    }


def _card(card: Card) -> dict[str, Any]:
    """Describe one profile."""
    return {
        "name": card.name,
        "blocked": card.blocked,
        "free": None if card.free is None else asdict(card.free),
        "choices": {control.key: _choice(control) for control in card.controls},
    }


def _choice(control: Control) -> dict[str, Any]:
    """Describe what cannot be chosen."""
    scale = control.scale
    return {
        "blocked": list(control.blocked),
        "why": control.why,
        "notes": {item.value: item.note for item in control.items if item.note},
        "most": None if scale is None else scale.most,
        "most_shown": "" if scale is None else scale.most_shown,
    }
