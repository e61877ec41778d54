"""How much slower than a quiet machine this one is now."""

from __future__ import annotations

import os

import psutil


def slowness() -> float:
    """Return how many programs share a core, at least 1.0: bounds on time are multiplied by it."""
    return max(1.0, psutil.getloadavg()[0] / (os.cpu_count() or 1))
