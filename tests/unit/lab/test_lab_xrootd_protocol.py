"""What the Lab server and its XRootD worker say to each other."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_labextension.data.xrootd.protocol import (
    LARGEST_BODY,
    LONGEST_LINE,
    Cancel,
    Command,
    Failure,
    Frame,
    ListFolder,
    More,
    Reason,
    SetToken,
    StatNames,
    command_line,
    frame_bytes,
    read_command,
    read_frame_line,
)
from af_labextension.data.xrootd.rows import Item, item_from, may_be_shown, ndjson

names = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1)
numbers = st.integers(0, 2**53)
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(SetToken, st.text()),
    st.builds(ListFolder, numbers, st.text(), st.text(), st.text(), numbers),
    st.builds(StatNames, numbers, st.text(), st.text(), st.lists(st.text()).map(tuple)),
    st.builds(More, numbers),
    st.builds(Cancel, numbers),
)


@given(commands)
def test_a_command_arrives_as_it_was_sent(command: Command) -> None:
    line = command_line(command)
    assert line.count(b"\n") == 1
    assert read_command(line) == command


def test_the_longest_command_fits_into_a_line() -> None:
    longest = StatNames(1, "root://h", "/" + "\U0001f4a9" * 1024, ("\U0001f4a9" * 1024,) * 200)
    assert len(command_line(longest)) < LONGEST_LINE


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b"3", b'{"op":"sing"}', b'{"op":"more"}', b'{"op":"more","id":1,"x":2}'],
)
def test_a_command_is_refused_when_it_makes_no_sense(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of JSON or of ours
        read_command(line)


@given(numbers, numbers, numbers, st.binary(), st.none() | st.text())
def test_a_frame_arrives_as_it_was_sent(
    number: int, count: int, left_out: int, body: bytes, detail: str | None
) -> None:
    failure = None if detail is None else Failure("silent", detail)
    frame = Frame("rows", number, count, left_out, failure, body)
    line, _, rest = frame_bytes(frame).partition(b"\n")
    read, size = read_frame_line(line)
    assert (size, rest) == (len(body), body)
    assert read == Frame("rows", number, count, left_out, failure)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "songs"},
        {"kind": "rows", "size": -1},
        {"kind": "rows", "size": LARGEST_BODY + 1},
        {"kind": "rows", "id": "7"},
        {"kind": "rows", "count": True},
        {"kind": "failed", "failure": {"reason": "boredom"}},
        {"kind": "failed", "failure": {"why": "silent"}},
        {"kind": "failed", "failure": "silent"},
        ["rows"],
    ],
)
def test_a_frame_is_refused_when_it_makes_no_sense(fields: object) -> None:
    with pytest.raises(ValueError, match="not a frame"):
        read_frame_line(json.dumps(fields).encode())


def test_every_reason_has_a_sentence() -> None:
    from af_labextension.data.doors import Door
    from af_labextension.data.xrootd.sentences import error_from

    door = Door("x", "Our cache", "root://h//store", "storage")
    for reason in get_args(Reason):
        error = error_from(Failure(reason, "what the library says"), door, "/cms")
        assert error.code != "lab-error"
        assert "library" in error.detail
        assert "library" not in error.message
        assert "/cms" in error.message or "Our cache" in error.message


@given(names, numbers, st.floats(0, 1e11), st.booleans())
def test_rows_are_the_json_of_their_entries(
    name: str, size: int, modified: float, known: bool
) -> None:
    item = Item(name, "file", size, modified) if known else Item(name)
    (line,) = ndjson([item], 'root://h//store/"é').decode().removesuffix("\n").split("\n")
    assert json.loads(line) == {**item.as_json(), "url": f'root://h//store/"é/{name}'}


@given(names)
def test_a_name_is_shown_only_when_it_can_be_opened_again(name: str) -> None:
    from af_labextension.data.paths import checked_raw_path, normalise
    from af_labextension.errors import BadRequest

    try:
        opened = checked_raw_path(normalise(f"/folder/{name}"))
    except BadRequest:
        opened = ""
    assert may_be_shown(name) == (opened == f"/folder/{name}")


def test_entries_are_read_as_the_bindings_tell_them() -> None:
    directory = {"flags": 19, "size": 4096, "modtime": 1795275778}
    assert item_from("d", directory) == Item("d", "directory", None, 1795275778.0)
    file = {"flags": 16, "size": 5, "modtime": 1795275778}
    assert item_from("f", file) == Item("f", "file", 5, 1795275778.0)
    assert item_from("n", None) == Item("n", "unknown")
