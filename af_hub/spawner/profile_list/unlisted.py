"""A text of the user's own in place of a choice of a ``profile_list``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from af_hub.errors import Refusal
from af_hub.spawner.policy.offers import OfferedChoice
from af_hub.spawner.policy.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

_MEANINGFUL = frozenset("{}$")
"""What KubeSpawner formats (``{…}``) and Kubernetes expands (``$(…)``)."""


@dataclass(frozen=True, slots=True)
class Unlisted:
    """How a text of the user's own is checked, and where it goes.

    Parameters
    ----------
    title
        What the field is called.
    pattern
        Python's regular expression that the whole text must match; None: anything.
    message
        What is said when it does not.
    overrides
        Traits; ``{value}`` in their texts stands for the user's.
    """

    title: str
    pattern: str | None
    message: str
    overrides: Mapping[str, Any]


def own_choice(unlisted: Unlisted, text: str) -> OfferedChoice:
    """Check a text of the user's own and put it into the overrides.

    Parameters
    ----------
    unlisted
        What is allowed.
    text
        The user's.

    Returns
    -------
    OfferedChoice
        With the text in place of ``{value}``.

    Raises
    ------
    Refusal
        ``not-offered`` if it does not match, or could mean something to KubeSpawner or Kubernetes.
    """
    fits = unlisted.pattern is None or re.fullmatch(unlisted.pattern, text)
    if not fits or set(text) & _MEANINGFUL:
        raise Refusal(Reason.NOT_OFFERED, unlisted.message, status=400)
    overrides = {name: _put_in(value, text) for name, value in unlisted.overrides.items()}
    return OfferedChoice(text, text, overrides=overrides)


def _put_in(value: Any, text: str) -> Any:
    """Replace ``{value}`` in all texts, however deep; nothing is formatted."""
    if isinstance(value, str):
        return value.replace("{value}", text)
    if isinstance(value, list | tuple):
        return [_put_in(item, text) for item in value]
    if isinstance(value, dict):
        return {_put_in(key, text): _put_in(item, text) for key, item in value.items()}
    return value
