"""When a kernel is ended, and how often one looks. Pure.

The numbers belong together: the reserve is what a program may grow by between two looks and until
it stands still: one that touched new pages with 2.8 GiB a second grew by some 10 MiB meanwhile, and
by up to 64 MiB on a machine with six times as many busy processes as cores. `FASTEST` lies above.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20
GIB = 2**30

SHARE = 0.05
"""Part of the limit that is kept free, within the two bounds that follow."""

LEAST_RESERVE = 64 * MIB
"""Bytes; a kernel that grows by 2.8 GiB a second needs them within 22 ms."""

MOST_RESERVE = GIB
"""Bytes; more would be taken from those who have much."""

FASTEST = 4 * GIB
"""Bytes a second; whatever grows more slowly cannot pass unseen from one look to the next."""

SHORTEST_NAP = 0.005
"""Seconds."""

LONGEST_NAP = 5.0
"""Seconds."""

BUSIEST = 0.05
"""Largest share of a core that looking may take, however long one look lasts."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How full it is.

    Parameters
    ----------
    held
        Bytes that the system cannot take back without killing: no page cache.
    limit
        Bytes.
    slow
        Bytes from which the system slows everything down; None if it does not.
    """

    held: int
    limit: int
    slow: int | None = None

    def line(self, reserve: int = 0) -> int:
        """Return the bytes at which a kernel is ended.

        Parameters
        ----------
        reserve
            Bytes of the limit to keep free; 0 means as many as suit it.
        """
        line = self.limit - (reserve or usual_reserve(self.limit))
        # what is slowed down there would seem to hang for hours, and never reach the line
        return min(line, self.slow or line)


def usual_reserve(limit: int) -> int:
    """Return the bytes that are kept free of a limit."""
    return int(min(max(SHARE * limit, LEAST_RESERVE), MOST_RESERVE))


def nap(gap: int, cost: float) -> float:
    """Return the seconds until the next look.

    Parameters
    ----------
    gap
        Bytes that are left.
    cost
        Seconds that the last look took.
    """
    return max(min(max(gap / FASTEST, SHORTEST_NAP), LONGEST_NAP), cost / BUSIEST)
