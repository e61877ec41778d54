"""When servers end by themselves: never early, never late, never unannounced."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from af_hub.errors import Refusal
from af_hub.spawner.ends.farewells import Ended
from af_hub.spawner.ends.reports import read_report
from af_hub.spawner.ends.rules import (
    WHYS,
    Activity,
    Limit,
    Limits,
    Report,
    Seen,
    ends_of,
    heard,
)
from af_hub.spawner.record import Record
from af_labextension.ends import rules

START = 1_790_000_000.0
POLL = 30
LIMITS = Limits(START, lifetime=36_000, idle=1800, gpu_idle=1200)
SEEN = Seen(active_at=None, lag=330, since=START)


def told(active: float, at: float, **more: float) -> Activity:
    """Return what is known after one report, both times after the start."""
    report = Report(START + active, more.get("gpu"))
    return heard(LIMITS, None, report, START + at)


def ends(activity: Activity | None, at: float, seen: Seen = SEEN) -> dict[str, float]:
    """Return the ends by limit, in seconds after the start."""
    return {end.limit.why: end.at - START for end in ends_of(LIMITS, activity, seen, START + at)}


def test_lifetime_ends_a_server_whatever_it_does() -> None:
    assert ends(told(35_990, 35_990), 35_990)["lifetime"] == 36_000


def test_warning_is_half_the_limit_at_most() -> None:
    assert [Limit("lifetime", 86_400).lead, Limit("lifetime", 1000).lead] == [1800, 500]
    assert [Limit("idle", 7200).lead, Limit("gpu-idle", 20).lead] == [600, 10]


def test_next_end_comes_first() -> None:
    assert [end.limit.why for end in ends_of(LIMITS, told(0, 0), SEEN, START)] == [
        "gpu-idle",
        "idle",
        "lifetime",
    ]


def test_gpu_counts_as_used_as_the_server_when_nobody_can_tell() -> None:
    assert ends(told(500, 500), 500)["gpu-idle"] == 1700
    assert ends(told(500, 500, gpu=START + 100), 500)["gpu-idle"] == 1300


def test_no_gpu_end_when_a_server_has_no_gpu() -> None:
    limits = replace(LIMITS, gpu_idle=0)
    assert {each.why for each in limits.all()} == {"lifetime", "idle"}


def test_jupyterhubs_account_counts_with_its_lag_when_a_lab_says_nothing() -> None:
    assert ends(None, 0)["idle"] == 330 + 1800
    assert ends(None, 900, replace(SEEN, active_at=START + 600))["idle"] == 600 + 330 + 1800


def test_end_is_put_off_when_a_lab_has_fallen_silent() -> None:
    activity = told(0, 1300)
    assert ends(activity, 1301)["idle"] == 1300 + 600  # told since then only
    assert ends(activity, 1300 + 151)["idle"] == 1300 + 1800


def test_warning_comes_first_when_the_hub_was_restarted() -> None:
    state = told(0, 1790).to_state()
    again = Activity.from_state(state, START + 1795)
    assert ends(heard(LIMITS, again, Report(START, None), START + 1796), 1796)["idle"] == 1795 + 600


def test_warning_comes_first_when_a_hub_without_reports_was_restarted() -> None:
    seen = replace(SEEN, active_at=START + 10, since=START + 5000)
    assert ends(None, 5000, seen)["idle"] == 5000 + 330 + 600


def test_report_is_bounded_and_never_goes_backwards() -> None:
    first = heard(LIMITS, None, Report(START + 9e9, START - 100), START + 50)
    assert (first.active_at, first.gpu_active_at) == (START + 50, START)
    again = heard(LIMITS, first, Report(START + 20, START + 30), START + 60)
    assert (again.active_at, again.gpu_active_at) == (START + 50, START + 30)
    assert (again.unbroken_since, again.heard_at) == (START + 50, START + 60)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b'{"active_at": 1}',
        b'{"active_at": 1, "gpu_active_at": null, "more": 1}',
        b'{"active_at": true, "gpu_active_at": null}',
        b'{"active_at": "1", "gpu_active_at": null}',
        b'{"active_at": null, "gpu_active_at": null}',
        b'{"active_at": -1, "gpu_active_at": null}',
        b'{"active_at": NaN, "gpu_active_at": null}',
        b'{"active_at": 1e400, "gpu_active_at": null}',
        b'{"active_at": 1, "gpu_active_at": [1]}',
        b'{"active_at": 1' + 400 * b"0" + b', "gpu_active_at": null}',
        b"[" * 900,
    ],
)
def test_report_is_refused_when_it_is_something_else(raw: bytes) -> None:
    with pytest.raises(Refusal, match="cannot be read"):
        read_report(raw)


def test_report_is_read() -> None:
    assert read_report(b'{"active_at": 1.5, "gpu_active_at": 2}') == Report(1.5, 2.0)


def test_record_of_an_older_hub_has_no_idle_limits() -> None:
    record = Record("mark", "small", 5, 60, (), (), idle=7, gpu_idle=8)
    state = record.to_state()
    assert Record.from_state(state).limits == Limits(5, 60, 7, 8)
    del state["idle"], state["gpu_idle"]
    assert Record.from_state(state).limits == Limits(5, 60, 0, 0)


def test_every_reason_has_words_and_a_time() -> None:
    for why in WHYS:
        ended = Ended(0.0, Limit(why, 7200))
        assert "2 h" in ended.words
        assert (ended.moment, ended.moment_in_words) == (
            "1970-01-01T00:00:00Z",
            "1970-01-01 00:00 UTC",
        )


def test_reason_of_an_end_comes_back_from_the_database_unless_nobody_knows_it() -> None:
    ended = Ended(5.0, Limit("gpu-idle", 7200))
    state = json.loads(json.dumps(ended.to_state()))
    assert Ended.from_state(state) == ended
    state["limit"]["why"] = "of-another-version"
    assert Ended.from_state(state) is None


@dataclass
class World:
    """A hub and a Lab that talk when both can, second by second.

    Parameters
    ----------
    limit
        Seconds without activity that are allowed.
    uses
        When the server is used, in seconds after its start.
    away
        From when to when nothing gets through; the hub forgets what it has in memory.
    """

    limit: float
    uses: list[int]
    away: tuple[int, int]
    activity: Activity | None = None
    since: float = START
    used_at: float = START
    told: rules.Use | None = None
    told_at: float = 0.0
    floor: dict[str, float] = field(default_factory=dict)
    warned_since: float | None = None
    reports: int = 0

    def __post_init__(self) -> None:
        self.limits = Limits(START, idle=self.limit)
        (limit,) = self.limits.all()
        self.mine = rules.limits_from({"limits": [limit.as_json()]})
        self.pace = rules.Pace(self.mine)
        self.lead = limit.lead

    def ended_at(self) -> float:
        """Go on until the server is ended; return when, in seconds after its start."""
        look_at = 0.0
        for second in range(200_000):
            now = START + second
            if second in self.uses:
                self.used_at = now
            if second == self.away[1] > self.away[0]:
                self.since = now
                if self.activity is not None:
                    self.activity = Activity.from_state(self.activity.to_state(), now)
            up = not self.away[0] <= second < self.away[1]
            if second >= look_at:
                look_at = second + self.pace.look_every
                self.look(now, up=up)
            if up and second % POLL == 0:
                seen = Seen(self.used_at, 330, self.since)
                end = ends_of(self.limits, self.activity, seen, now)[0]
                if end.over(now):
                    return second
        raise AssertionError("never")

    def look(self, now: float, *, up: bool) -> None:
        """Do what the Lab does."""
        use = rules.Use(self.used_at)
        if self.pace.due(use, self.told, self.told_at, now) and up:
            self.reports += 1
            report = Report(use.active_at, use.gpu_active_at)
            self.activity = heard(self.limits, self.activity, report, now)
            seen = Seen(None, 330, self.since)
            for end in ends_of(self.limits, self.activity, seen, now):
                self.floor[end.limit.why] = end.at
            self.told, self.told_at = use, now
        (mine,) = rules.ends_of(self.mine, use, None, self.floor)
        if now < mine.at - mine.limit.lead:
            self.warned_since = None
        elif self.warned_since is None:
            self.warned_since = now


USES = st.lists(st.integers(0, 6000), max_size=12)


@settings(max_examples=60)
@given(limit=st.sampled_from([600.0, 1200.0, 1800.0]), uses=USES)
def test_idle_server_ends_at_its_limit_and_not_before(limit: float, uses: list[int]) -> None:
    world = World(limit, uses, (0, 0))
    at = world.ended_at()
    last = world.used_at - START
    assert last + limit <= at <= last + limit + POLL
    assert world.warned_since is not None
    assert START + at - world.warned_since >= world.lead


@settings(max_examples=60)
@given(
    limit=st.sampled_from([600.0, 1200.0, 1800.0]),
    uses=USES,
    begin=st.integers(0, 4000),
    length=st.integers(1, 4000),
)
def test_idle_server_ends_neither_early_nor_unannounced_when_the_hub_was_away(
    limit: float, uses: list[int], begin: int, length: int
) -> None:
    world = World(limit, uses, (begin, begin + length))
    at = world.ended_at()
    last = world.used_at - START
    assert last + limit <= at
    # at worst the Lab has to be heard for as long as the warning lasts once the hub is back
    assert at <= max(last + limit, begin + length + limit) + 330 + world.lead + POLL
    assert world.warned_since is not None
    assert START + at - world.warned_since >= world.lead


def test_idle_server_leaves_the_hub_in_peace_until_its_end_is_near() -> None:
    world = World(7200.0, [], (0, 0))
    world.ended_at()
    # at the start, and once a minute of the warning
    assert world.reports <= 13
