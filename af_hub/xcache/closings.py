"""What an XCache tells when it closes a file (``xrootd.mongstream pfc``), added up. Pure.

One datagram holds several lines of JSON. The name of the file is written into them without any
escaping (``XrdPfc.cc``, all versions so far), so the numbers are read from the line's fixed end and
the name is not looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_BYTES: Final = 65_536
"""Largest datagram, in bytes (``maxlen`` of the directive)."""

_CLOSED = re.compile(
    rb'\{"event":"file_close",.{0,4000}'
    rb'"b_hit":([0-9]{1,18}),"b_miss":([0-9]{1,18}),"b_bypass":([0-9]{1,18}),'
    # 5.7 and later tell more: bytes to disk and bytes prefetched
    rb'(?:"b_todisk":[0-9]{1,18},"b_prefetch":[0-9]{1,18},)?'
    rb'"n_cks_errs":([0-9]{1,9})\}'
)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over closed files.

    Parameters
    ----------
    files
        How many were closed.
    hit, miss, bypass
        Bytes delivered from disk, fetched from the origin and kept, fetched and not kept.
    checksum_errors
        Blocks whose checksum was wrong.
    """

    files: int = 0
    hit: int = 0
    miss: int = 0
    bypass: int = 0
    checksum_errors: int = 0

    def __add__(self, other: Totals) -> Totals:
        """Add two sums."""
        return Totals(
            self.files + other.files,
            self.hit + other.hit,
            self.miss + other.miss,
            self.bypass + other.bypass,
            self.checksum_errors + other.checksum_errors,
        )


def parse_closings(datagram: bytes) -> Totals:
    """Add up the closed files of one datagram.

    Parameters
    ----------
    datagram
        What arrived. Lines that are something else are left out; so is all of it if it is larger
        than `MAX_BYTES`.

    Returns
    -------
    Totals
        Zero if nothing in it was understood.
    """
    total = Totals()
    if len(datagram) > MAX_BYTES:
        return total
    for line in datagram.rstrip(b"\0").split(b"\n"):
        found = _CLOSED.fullmatch(line)
        if found is not None:
            total += Totals(1, *(int(number) for number in found.groups()))
    return total
