"""A string that does not print itself."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Secret:
    """A token. ``repr``, ``str`` and ``format`` hide it; `reveal` gives it.

    Examples
    --------
    >>> Secret("eyJhbGciOi.very.secret")
    Secret(****cret)
    >>> f"{Secret('abc')}"
    'Secret(****)'
    """

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """Return the hidden text. Call it only where the text goes onto the wire or to disk."""
        return self._value

    def __repr__(self) -> str:
        """Show at most the last four characters, and none of a short secret."""
        return f"Secret(****{self._value[-4:] if len(self._value) >= 16 else ''})"

    __str__ = __repr__

    def __bool__(self) -> bool:
        """Tell whether there is any text."""
        return bool(self._value)
