"""A measured figure beside its target, and the table that shows it."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from os import cpu_count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Parameters
    ----------
    name
        What was measured.
    values
        Every run's value, in `unit`.
    target
        The promise as the reader sees it, for example ``≤ 20 s``.
    holds
        Tells from the median whether the promise is kept.
    baseline
        The peer or the plain thing, measured in the same run.
    """

    name: str
    values: tuple[float, ...]
    unit: str
    target: str
    holds: Callable[[float], bool]
    baseline: str = ""
    note: str = field(default="")

    @property
    def median(self) -> float:
        """Return the median of the runs."""
        return statistics.median(self.values)

    def row(self) -> str:
        """Return the line of the Markdown table."""
        spread = f"{min(self.values):.3g}-{max(self.values):.3g}"
        verdict = "kept" if self.holds(self.median) else "**missed**"
        if not self.target:
            verdict = ""
        cells = (
            self.name,
            f"{self.median:.3g} {self.unit} ({spread}, n={len(self.values)})",
            self.target,
            verdict,
            self.baseline,
            self.note,
        )
        return "| " + " | ".join(cells) + " |"


def header() -> str:
    """Say when, on what, and with which versions the table was made."""
    parts = ("jupyterhub", "jupyterlab", "dask", "distributed", "dask-gateway", "uproot")
    versions = ", ".join(f"{part} {version(part)}" for part in parts)
    today = datetime.now(UTC).date().isoformat()
    return (
        f"Measured {today} on {cpu_count()} cores with {versions}.\n\n"
        "| figure | median (range, runs) | target | | baseline in the same run | note |\n"
        "|---|---|---|---|---|---|"
    )
