"""What a restarted hub reads is what it wrote."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from af_hub.spawner.record import Record

RECORDS = st.builds(
    Record,
    server=st.text(max_size=40),
    profile=st.text(max_size=40),
    started_at=st.integers(1, 2**40),
    lifetime=st.integers(0, 2**31),
    cores=st.lists(st.integers(0, 4096), max_size=8).map(tuple),
    gpus=st.lists(st.text(max_size=40), max_size=8).map(tuple),
    process=st.text(max_size=60),
)


@given(RECORDS)
def test_record_is_the_same_when_it_went_through_the_database(record: Record) -> None:
    assert Record.from_state(json.loads(json.dumps(record.to_state()))) == record


@given(RECORDS)
def test_end_is_known_only_when_there_is_a_lifetime(record: Record) -> None:
    if record.lifetime:
        assert record.expires_at == record.started_at + record.lifetime
    else:
        assert record.expires_at is None
