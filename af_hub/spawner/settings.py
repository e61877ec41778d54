"""What the traits of a catalogue hold: read once, though the hub makes a spawner for each user."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from traitlets import TraitError

from af_hub.facility.limits import Limit
from af_hub.facility.profiles import Profile

_Entry = TypeVar("_Entry")


class _Reader(Generic[_Entry]):
    """Reads the entries of a trait, and remembers the last ones."""

    def __init__(self, name: str, kind: TypeAdapter[tuple[_Entry, ...]]) -> None:
        self._name, self._kind = name, kind
        self._value: list[Any] = []
        self._found: tuple[_Entry, ...] = ()

    def read(self, value: list[Any]) -> list[_Entry]:
        if self._value != value:
            try:
                self._found = self._kind.validate_python(value)
            except ValidationError as error:
                raise TraitError(f"{self._name}: {error}") from None
            self._value = value
        return list(self._found)


_PROFILES = _Reader("profiles", TypeAdapter(tuple[Profile, ...]))
_LIMITS = _Reader("limits", TypeAdapter(tuple[Limit, ...]))


def read_profiles(value: list[Any]) -> list[Profile]:
    """Read a catalogue.

    Parameters
    ----------
    value
        Dictionaries, or profiles that have been read already.

    Raises
    ------
    TraitError
        With all that is wrong.
    """
    return _PROFILES.read(value)


def read_limits(value: list[Any]) -> list[Limit]:
    """Read limits; see `read_profiles`."""
    return _LIMITS.read(value)
