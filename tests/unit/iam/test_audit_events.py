"""Audit events: their schemas, what may be in them, and where they go."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jupyter_events import EventLogger

from af_hub.audit import PREFIX, SCHEMAS, Audit
from af_hub.errors import IAMUnavailable, IdentityError, SessionOver
from af_hub.iam.broker import Brokered
from af_hub.iam.session import Login
from af_hub.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "canary0123456789abcdef0123456789abcdef"
KINDS = {
    "login",
    "logout",
    "refusal",
    "refresh-failure",
    "group-change",
    "token-issued",
    "server-ended",
}


def login_of(*groups: str, sub: str = "sub") -> Login:
    return Login(
        access_token=Secret(CANARY),
        refresh_token=Secret(CANARY),
        id_token=Secret(CANARY),
        expires_at=1.0,
        scope="openid",
        iss="https://iam.example/",
        sub=sub,
        name="Alice",
        groups=groups,
        checked_at=0.0,
    )


def brokered(scope: str) -> Brokered:
    return Brokered(Secret(CANARY), 1.0, scope, "https://aud.example", "iss", (), 1.0)


class Recorder:
    """An audit whose events are kept in memory, each validated by its schema."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.logger = EventLogger(handlers=[logging.StreamHandler(self._stream)])
        self.audit = Audit()
        self.audit.attach(self.logger)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events."""
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    def kinds(self) -> list[str]:
        """Return their kinds."""
        return [one["__schema__"].removeprefix(PREFIX) for one in self.events]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Give an audit that writes to memory."""
    made = Recorder()
    yield made
    assert CANARY not in json.dumps(made.events)


def tell_everything(audit: Audit, text: str) -> None:
    audit.logged_in(text, login_of(text, sub=text), admin=True, address=text)
    audit.logged_out(text, revoked=False)
    audit.refused("token", text, username=text, by=text, audience=text, address=text)
    audit.refused("login", text, by=text)
    audit.refresh_failed(text, SessionOver(text, CANARY, CANARY))
    audit.groups_changed(text, [], [f"/{n}/{text}" for n in range(500)])
    audit.token_issued(text, text, brokered(text), to=text)
    audit.server_ended(text, text, text, "idle", 7200.5)


def test_every_event_has_a_schema_that_closes_it() -> None:
    for path in SCHEMAS.glob("*.yaml"):
        schema = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert schema["$id"] == f"{PREFIX}{path.stem}"
        assert schema["additionalProperties"] is False
        assert set(schema["required"]) == set(schema["properties"])
    assert {path.stem for path in SCHEMAS.glob("*.yaml")} == KINDS


@given(st.text(max_size=50), st.sampled_from([1, 20, 400]))
def test_every_event_fits_its_schema_whatever_names_are(text: str, times: int) -> None:
    made = Recorder()
    tell_everything(made.audit, text * times)
    assert set(made.kinds()) == KINDS
    assert CANARY not in json.dumps(made.events)


def test_what_looks_like_a_token_is_removed_when_a_stranger_asks_for_it(
    recorder: Recorder,
) -> None:
    recorder.audit.refused("token", "audience-unknown", by="nobody", audience=CANARY)
    assert recorder.events[0]["audience"] == "[removed]"


def test_failed_refresh_ends_a_login_unless_nobody_answered(recorder: Recorder) -> None:
    for error in (
        SessionOver("login-over", "x"),
        IdentityError("identity-changed", "x"),
        IAMUnavailable("iam-unreachable", "x"),
    ):
        recorder.audit.refresh_failed("alice", error)
    assert [one["ended"] for one in recorder.events] == [True, True, False]


def test_refresh_is_no_event_when_the_groups_stay(recorder: Recorder) -> None:
    recorder.audit.refreshed("alice", login_of("/cms", "/atlas"), login_of("/atlas", "/cms"))
    assert not recorder.events
    recorder.audit.refreshed("alice", login_of("/cms"), login_of("/atlas"))
    assert recorder.kinds() == ["group-change"]
    assert recorder.events[0]["added"] == ["/atlas"]
    assert recorder.events[0]["removed"] == ["/cms"]


def test_events_are_lines_of_the_hubs_log_when_it_has_no_event_handlers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for events in (None, EventLogger()):
        caplog.clear()
        audit = Audit()
        if events is not None:
            audit.attach(events)
        tell_everything(audit, "alice")
        assert len(caplog.records) == 8
        assert 'audit: logout {"username": "alice", "revoked": false}' in caplog.messages
        assert CANARY not in caplog.text
