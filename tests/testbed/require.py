"""Skip for a missing part, or fail when it was promised.

``AF_REQUIRE=browser,htcondor`` turns the skips of the named parts into failures; CI requires all.
"""

from __future__ import annotations

import os

import pytest


def require(part: str, present: object, reason: str) -> None:
    """Go on when `present` is true; else skip, or fail if `part` stands in ``AF_REQUIRE``.

    Parameters
    ----------
    part
        Name as used in ``AF_REQUIRE``.
    present
        Truth of "the part is here".
    reason
        One sentence that says what is missing.
    """
    if present:
        return
    promised = {name.strip() for name in os.environ.get("AF_REQUIRE", "").split(",")}
    if part in promised or "all" in promised:
        pytest.fail(f"{part} is required: {reason}")
    pytest.skip(f"{part}: {reason}")
