"""What stands on the spawn page, before anybody writes HTML. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from af_hub.spawner.ends.farewells import Ended

Kind = Literal["fixed", "segments", "list", "range"]
"""How a choice looks: not at all, as buttons, as a list, as a slider."""


@dataclass(frozen=True, slots=True)
class Item:
    """One value to choose.

    Parameters
    ----------
    value
        What the form sends.
    label
        What people read on a button or in a list.
    selected
        Chosen at first.
    blocked
        Why it cannot be chosen now; empty if it can.
    words
        The same where it stands alone: ``2 cores`` for the button ``2``.
    note
        A sentence that is shown while it is chosen.
    """

    value: str
    label: str
    selected: bool = False
    blocked: str = ""
    words: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """The values of a slider.

    Parameters
    ----------
    least, most, step, value
        In cores or bytes.
    unit
        ``cores`` or ``bytes``: how the page's script writes a value.
    shown, least_shown, most_shown
        The same in words.
    why
        Why it does not reach further now; empty if it does.
    """

    least: int
    most: int
    step: int
    value: int
    unit: Literal["cores", "bytes"]
    shown: str
    least_shown: str
    most_shown: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Control:
    """One question of a card.

    Parameters
    ----------
    key
        Name of the field after the profile's: ``cpu``, ``ram``, ``gpu``, ``image``,
        ``options.<name>``.
    label
        What is asked.
    icon
        Name of its picture in ``icons.html``.
    kind
        How it looks.
    span
        What the card holds in a few words, while it is not chosen: ``1 to 8 cores``.
    items
        Values to choose; empty for a slider.
    scale
        The slider.
    own
        What the list calls an answer of one's own; empty: there is none.
    own_value
        The one that was given last.
    own_label, own_example
        What the text field for it is called, and what stands in it while it is empty.
    """

    key: str
    label: str
    icon: str
    kind: Kind
    span: str
    items: tuple[Item, ...] = ()
    scale: Scale | None = None
    own: str = ""
    own_value: str = ""
    own_label: str = ""
    own_example: str = ""

    @property
    def id(self) -> str:
        """The key as part of an element's identifier."""
        return self.key.replace(".", "-")

    @property
    def blocked(self) -> tuple[str, ...]:
        """Values that cannot be chosen now."""
        return tuple(item.value for item in self.items if item.blocked)

    @property
    def why(self) -> str:
        """Why something cannot be chosen; of several amounts the smallest is told."""
        if self.scale is not None:
            return self.scale.why
        first = next((item for item in self.items if item.blocked), None)
        return "" if first is None else f"{first.words} cannot be chosen: {first.blocked}"

    @property
    def note(self) -> str:
        """What is said about the value that is chosen at first."""
        return next((item.note for item in self.items if item.selected), "")


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a card holds and nobody chooses.

    Parameters
    ----------
    icon
        Name of its picture.
    text
        A few words.
    minor
        Left out of the summary where there is little room.
    """

    icon: str
    text: str
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Free:
    """Devices that are free now.

    Parameters
    ----------
    free, total
        Numbers of devices.
    text
        ``A100: 3 of 8 free``.
    """

    free: int
    total: int
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """One profile.

    Parameters
    ----------
    name, title, description
        From the catalogue.
    selected
        Chosen at first.
    blocked
        Why it cannot be started now; empty if it can.
    controls
        What can be chosen, and what would be if there was a choice.
    facts
        What else it holds.
    free
        Free devices; None if it offers none, or nobody counts them.
    """

    name: str
    title: str
    description: str
    selected: bool
    blocked: str
    controls: tuple[Control, ...]
    facts: tuple[Fact, ...] = ()
    free: Free | None = None

    @property
    def has_choices(self) -> bool:
        """Whether anything can be chosen."""
        return any(control.kind != "fixed" for control in self.controls)

    def control(self, key: str) -> Control | None:
        """Find the question of this key; None if it is not asked."""
        return next((each for each in self.controls if each.key == key), None)


@dataclass(frozen=True, slots=True)
class Meter:
    """How much of one thing is in use.

    Parameters
    ----------
    what
        ``Servers``, ``GPUs``, ``Cores``, ``Memory``.
    text
        ``3 of 8``, or ``3`` where nobody sets a limit.
    part
        Used part of the limit, 0 to 1; None without a limit.
    """

    what: str
    text: str
    part: float | None = None

    @property
    def full(self) -> bool:
        """Whether nothing is left."""
        return self.part is not None and self.part >= 1


@dataclass(frozen=True, slots=True)
class Share:
    """What one user, one group or everybody uses.

    Parameters
    ----------
    title
        ``You``, a group's name, or ``Everybody``.
    meters
        At least one.
    """

    title: str
    meters: tuple[Meter, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Everything on the spawn page.

    Parameters
    ----------
    cards
        What the user may see.
    notice
        Why the last choice is not shown; empty if it is.
    usage
        What is used of which quota.
    ended
        How the last server ended by itself; None if it did not.
    """

    cards: tuple[Card, ...]
    notice: str = ""
    usage: tuple[Share, ...] = ()
    ended: Ended | None = None
