"""Amounts of memory and time as administrators and users write them. Pure."""

from __future__ import annotations

import re
from fractions import Fraction

_BYTES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def as_bytes(value: object) -> int:
    """Read bytes: a number, or a text such as ``512M`` with powers of 1024.

    Raises
    ------
    ValueError
        It is anything else.

    Examples
    --------
    >>> as_bytes("1.5G")
    1610612736
    """
    return int(_read(value, r"([0-9]{1,18}(?:\.[0-9]{1,6})?) ?([KMGT]?)(?:i?B)?", _BYTES))


def as_seconds(value: object) -> float:
    """Read seconds: a number, or a text such as ``30m``.

    Raises
    ------
    ValueError
        It is anything else.

    Examples
    --------
    >>> as_seconds("24h")
    86400.0
    """
    return float(_read(value, r"([0-9]{1,18}(?:\.[0-9]{1,6})?) ?([smhd]?)", _SECONDS))


def _read(value: object, pattern: str, factors: dict[str, int]) -> Fraction:
    # exact: a float rounds whole numbers from 2**53 on
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**63:
        return Fraction(value)
    found = re.fullmatch(pattern, value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("expected an amount such as 2G or 30m")
    return Fraction(found[1]) * factors[found[2]]


def bytes_text(amount: int) -> str:
    """Write bytes with the largest suffix that fits without rounding.

    Examples
    --------
    >>> bytes_text(1610612736)
    '1536M'
    """
    for suffix, factor in reversed(_BYTES.items()):
        if amount and amount % factor == 0:
            return f"{amount // factor}{suffix}"
    return str(amount)
