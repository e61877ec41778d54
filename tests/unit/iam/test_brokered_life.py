"""Which kept token is good enough for somebody who wants one that lives for a while."""

from __future__ import annotations

import pytest

from af_hub.iam.broker import RENEWED_APART, Brokered
from af_hub.secret import Secret

NOW = 1_000_000.0


def made(age: float, life: float = 3600.0) -> Brokered:
    return Brokered(Secret("t"), NOW - age + life, "", "", "", (), life)


@pytest.mark.parametrize(
    ("age", "min_left", "good"),
    [
        (100.0, 0.0, True),
        (100.0, 3500.0, True),
        (100.0, 3501.0, False),
        # nothing lives longer than a new one: who wants that gets it, and does not flood the IAM
        (RENEWED_APART - 1, 5000.0, True),
        (RENEWED_APART + 1, 5000.0, False),
        # it has to be renewed anyway
        (3400.0, 0.0, False),
    ],
)
def test_kept_token_serves_when_it_lives_long_enough(
    age: float, min_left: float, good: bool
) -> None:
    assert made(age).serves(NOW, min_left) is good
