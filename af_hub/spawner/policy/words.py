"""Amounts in words for people. Pure."""

from __future__ import annotations


def size_in_words(size: int) -> str:
    """Write bytes in the largest unit they fill.

    Examples
    --------
    >>> size_in_words(4 * 1024**3)
    '4 GiB'
    >>> size_in_words(1536 * 1024**2)
    '1.5 GiB'
    """
    for unit, power in (("TiB", 4), ("GiB", 3), ("MiB", 2), ("KiB", 1)):
        if size >= 1024**power:
            return f"{size / 1024**power:.4g} {unit}"
    return f"{size} B"


def duration_in_words(seconds: float) -> str:
    """Write seconds in their two largest units.

    Examples
    --------
    >>> duration_in_words(5400)
    '1 h 30 min'
    """
    left = round(seconds)
    parts = []
    for name, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def count_in_words(count: int, one: str, many: str) -> str:
    """Write a number of things.

    Examples
    --------
    >>> count_in_words(1, "core", "cores"), count_in_words(2, "core", "cores")
    ('1 core', '2 cores')
    """
    return f"{count} {one if count == 1 else many}"


def amount_in_words(what: str, amount: int) -> str:
    """Write an amount of what limits count.

    Parameters
    ----------
    what
        ``servers``, ``gpus``, ``cpu`` or ``ram``.
    amount
        How much.

    Examples
    --------
    >>> amount_in_words("gpus", 1), amount_in_words("ram", 4 * 1024**3)
    ('1 GPU', '4 GiB of memory')
    """
    if what == "ram":
        return f"{size_in_words(amount)} of memory"
    names = {"servers": ("server", "servers"), "gpus": ("GPU", "GPUs"), "cpu": ("core", "cores")}
    return count_in_words(amount, *names[what])
