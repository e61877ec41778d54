"""When clusters end, what is believed of a scheduler, and what is shown of its logs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_hub.compute.bodies import problem_of
from af_hub.compute.heartbeat import read_heartbeat
from af_hub.compute.life import WARNINGS, end_of, failure_of
from af_hub.compute.logs import make_log, read_lines
from af_hub.errors import Refusal

A, B, C = "a" * 32, "b" * 32, "c" * 32
GOOD: dict[str, Any] = {
    "count": 2,
    "scheduler_address": "tls://127.0.0.1:8786",
    "dashboard_address": "",
    "api_address": "https://127.0.0.1:1",
    "active_workers": [A],
    "closing_workers": [],
    "closed_workers": [B],
    "af_idle": 12.5,
}


def here(host: str) -> bool:
    """Believe in this machine."""
    return host == "127.0.0.1"


def test_the_first_limit_counts_when_a_cluster_has_two() -> None:
    assert end_of(0, None, idle=10, longest=0) is None
    assert end_of(0, None, idle=10, longest=100) == end_of(0, 95, idle=10, longest=100)
    idle = end_of(0, 50, idle=10, longest=100)
    assert idle is not None
    assert (idle.at, idle.why) == (60, "idle")
    assert not idle.over(59.9)
    assert idle.over(60)
    assert idle.reason == "The cluster had no work for 10 s."


def test_the_owner_is_warned_when_the_end_is_near() -> None:
    short, long = end_of(0, 0, idle=10, longest=0), end_of(0, None, idle=0, longest=86400)
    assert short is not None
    assert long is not None
    assert short.warning(7.9) is None
    assert short.warning(8) == WARNINGS["idle"]
    assert long.warning(86400 - 601) is None
    assert long.warning(86400 - 600) == WARNINGS["lifetime"]
    assert long.reason == "The longest lifetime was reached: 24 h."


@pytest.mark.parametrize(
    ("status", "age", "silent", "fails", "said"),
    [
        ("starting", 61, 0, 0, "did not come up within 1 min"),
        ("starting", 1, 0, 0, "could not be started"),
        ("running", 100, 61, 0, "silent for 1 min"),
        ("running", 100, 1, 3, "3 workers in a row"),
        ("running", 100, 1, 0, "does not answer"),
    ],
)
def test_a_failure_has_its_reason_when_nobody_gave_one(
    status: str, age: float, silent: float, fails: int, said: str
) -> None:
    assert said in failure_of(status, age, silent, (60, 60), fails)


def test_a_heartbeat_is_taken_when_it_makes_sense() -> None:
    message, idle = read_heartbeat(GOOD, here, ())
    assert idle == 12.5
    assert "af_idle" not in message
    assert message == {name: value for name, value in GOOD.items() if name != "af_idle"}


def test_a_worker_is_closed_when_its_scheduler_says_nothing_of_it() -> None:
    message, _ = read_heartbeat(GOOD, here, (A, C))
    assert message["closed_workers"] == [B, C]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", -1),
        ("count", True),
        ("count", "2; reboot"),
        ("count", 1e9),
        ("count", None),
        ("active_workers", "abc"),
        ("active_workers", {"a": 1}),
        ("closed_workers", None),
        ("scheduler_address", "http://127.0.0.1:8786"),
        ("scheduler_address", "tls://10.0.0.1:8786"),
        ("scheduler_address", "tls://127.0.0.1:8786\r\nX: y"),
        ("dashboard_address", "http://169.254.169.254:80"),
        ("dashboard_address", "http://127.0.0.1:80@evil:80"),
        ("dashboard_address", "http://127x0x0x1:80"),
        ("api_address", "https://127.0.0.1:1/../hub"),
        ("api_address", ""),
        ("api_address", "http://127.0.0.1:1"),
    ],
)
def test_a_heartbeat_is_refused_when_a_field_makes_no_sense(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        read_heartbeat({**GOOD, field: value}, here, ())


@pytest.mark.parametrize("idle", [-1, "1", True, float("nan"), float("inf"), None, [], 1e12])
def test_idleness_is_unknown_when_it_makes_no_sense(idle: object) -> None:
    assert read_heartbeat({**GOOD, "af_idle": idle}, here, ())[1] is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner),
    max_leaves=8,
)


@given(message=ANYTHING, field=st.sampled_from(list(GOOD)))
def test_nothing_but_a_value_error_is_raised_when_a_scheduler_says_anything(
    message: Any, field: str
) -> None:
    for said in (message, {**GOOD, field: message}):
        try:
            read, _ = read_heartbeat(said, here, ())
        except ValueError:
            continue
        json.dumps(read)


def test_logs_are_short_and_without_secrets_when_they_are_shown() -> None:
    token = "eyJhbGciOiJub25lIn0.eyJqdGkiOiI0MiJ9.c2ln"
    raw = (
        b"first\n\x1b[31mred\x1b[0m\x07\n"
        + f"got {token}\nAuthorization: Bearer abcdefghijklmnop123\nmine planted-secret-1\n".encode()
        + b"last \xff line\n"
    )
    log = make_log("scheduler", raw, 5, cut=False, secrets=["planted-secret-1"])
    assert log.truncated
    assert log.text.split("\n") == [
        "red",
        "got [removed]",
        "Authorization: [removed]",
        "mine [removed]",
        "last \ufffd line",
    ]
    assert make_log("w", b"half\nwhole\n", 5, cut=True, secrets=()).text == "whole"
    assert make_log("w", b"", 5, cut=False, secrets=()).as_json() == {
        "name": "w",
        "text": "",
        "truncated": False,
    }


@pytest.mark.parametrize("asked", ["0", "-1", "2001", "1e3", "\u0661", "5\n", "", "9" * 50, "1;ls"])
def test_the_number_of_lines_is_refused_when_it_makes_no_sense(asked: str) -> None:
    with pytest.raises(Refusal, match="lines"):
        read_lines(asked)


def test_the_number_of_lines_is_taken_when_it_makes_sense() -> None:
    assert (read_lines(None), read_lines("1"), read_lines("2000")) == (200, 1, 2000)


@pytest.mark.parametrize(
    ("route", "body", "named"),
    [
        ("scale", b'{"count": "1; reboot"}', "count"),
        ("scale", b'{"count": true}', "count"),
        ("scale", b'{"count": -1}', "count"),
        ("scale", b'{"count": 1000000000}', "count"),
        ("scale", b'{"count": null}', "count"),
        ("adapt", b'{"minimum": "x"}', "minimum"),
        ("adapt", b'{"maximum": 1.5}', "maximum"),
        ("adapt", b'{"active": "yes"}', "active"),
        ("adapt", b'{"evil": 1}', "evil"),
        ("", b'{"cluster_options": [1]}', "cluster_options"),
        ("", b"[]", "object"),
        ("", b"{", "JSON"),
        ("", b"[" * 100_000, "JSON"),
    ],
)
def test_the_field_is_named_when_gateways_own_routes_get_nonsense(
    route: str, body: bytes, named: str
) -> None:
    problem = problem_of(route, body)
    assert problem is not None
    assert named in problem


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("scale", b'{"count": 3}'),
        ("adapt", b'{"minimum": null, "maximum": 2, "active": true}'),
        ("", b'{"cluster_options": {"type": "x"}}'),
        ("", b"{}"),
    ],
)
def test_gateways_own_routes_get_what_notebooks_send(route: str, body: bytes) -> None:
    assert problem_of(route, body) is None
