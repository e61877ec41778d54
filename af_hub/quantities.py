"""Amounts of memory and time as people write them in configuration files."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_BYTE_FACTORS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_SECOND_FACTORS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = 32
"""Longest text that is looked at, in characters."""


def parse_bytes(value: object) -> int:
    """Read an amount of memory.

    Parameters
    ----------
    value
        Number of bytes, or a text such as ``"512M"`` or ``"1.5G"``. The suffixes K, M, G and T
        are powers of 1024, as in JupyterHub's ``mem_limit`` and in Dask Gateway.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    ValueError
        If the value is something else, or negative.

    Examples
    --------
    >>> parse_bytes("1.5G")
    1610612736
    """
    return int(_parse(value, r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?", _BYTE_FACTORS, "4G"))


def parse_seconds(value: object) -> float:
    """Read a length of time.

    Parameters
    ----------
    value
        Number of seconds, or a text such as ``"90s"``, ``"30m"``, ``"24h"`` or ``"2d"``.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If the value is something else, or negative.

    Examples
    --------
    >>> parse_seconds("30m")
    1800.0
    """
    return _parse(value, r"([0-9]+(?:\.[0-9]+)?)\s*([smhd]?)", _SECOND_FACTORS, "30m")


def _parse(value: object, pattern: str, factors: dict[str, int], example: str) -> float:
    if isinstance(value, bool):
        raise ValueError(f"expected an amount such as {example}, not true or false")  # noqa: TRY004 - pydantic wants ValueError
    if isinstance(value, int | float):
        if not 0 <= value < 2**63:
            raise ValueError(f"expected a positive amount such as {example}")
        return float(value)
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError(f"expected an amount such as {example}")
    found = re.fullmatch(pattern, value.strip())
    if found is None:
        raise ValueError(f"expected an amount such as {example}, not {value!r}")
    amount = float(found[1]) * factors[found[2]]
    if amount >= 2**63:
        raise ValueError(f"expected an amount such as {example}, {value!r} is too large")
    return amount


def format_bytes(amount: int) -> str:
    """Write an amount of memory with the largest suffix that fits without rounding.

    Examples
    --------
    >>> format_bytes(1610612736), format_bytes(2147483648)
    ('1536M', '2G')
    """
    for suffix, factor in reversed(_BYTE_FACTORS.items()):
        if amount and amount % factor == 0:
            return f"{amount // factor}{suffix}"
    return str(amount)


Bytes = Annotated[int, BeforeValidator(parse_bytes)]
"""A pydantic field in bytes that is written as ``4G`` or as a number."""

Seconds = Annotated[float, BeforeValidator(parse_seconds)]
"""A pydantic field in seconds that is written as ``30m`` or as a number."""
