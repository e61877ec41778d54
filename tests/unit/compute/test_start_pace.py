"""How fast a cluster may start workers again and again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from af_hub.compute.start_pace import SPARE, WINDOW, StartPace


def test_as_many_as_wished_start_at_once_and_once_more() -> None:
    pace = StartPace()
    for number in range(80 + SPARE):
        assert pace.room("one", 40, 0.0) == 80 + SPARE - number
        pace.note("one", 0.0)
    assert pace.room("one", 40, 0.0) == 0
    # what others do is no matter
    assert pace.room("other", 40, 0.0) == 80 + SPARE


def test_workers_start_again_when_time_has_passed_or_the_cluster_has_ended() -> None:
    pace = StartPace()
    for second in range(2 + SPARE):
        pace.note("one", float(second))
    assert pace.room("one", 1, WINDOW - 0.1) == 0
    assert pace.room("one", 1, WINDOW + 4.5) == 5
    pace.forget("one")
    assert pace.room("one", 1, WINDOW) == 2 + SPARE


@given(
    wished=st.integers(0, 30),
    steps=st.lists(st.tuples(st.floats(0, 30), st.integers(0, 50)), max_size=60),
)
def test_no_minute_sees_more_starts_than_twice_the_wish(
    wished: int, steps: list[tuple[float, int]]
) -> None:
    pace, now, starts = StartPace(), 0.0, list[float]()
    for passed, wanted in steps:
        now += passed
        for _ in range(min(wanted, pace.room("one", wished, now))):
            pace.note("one", now)
            starts.append(now)
    for begin in starts:
        assert sum(begin <= each < begin + WINDOW for each in starts) <= 2 * wished + SPARE
