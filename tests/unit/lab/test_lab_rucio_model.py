"""What Rucio's answers and the browser's questions mean; NDJSON in pieces."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from af_labextension.errors import BadRequest
from af_labextension.rucio.model import (
    Did,
    collection_row,
    did_from,
    file_row,
    scopes_of,
    search_pattern,
)
from af_labextension.rucio.ndjson import LONGEST_LINE, Rows
from af_labextension.rucio.settings import from_rucio_jupyterlab, server_from

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
documents = st.lists(st.dictionaries(st.text(), json_values, max_size=4), max_size=8)


@settings(deadline=None)
@given(rows=documents, cuts=st.lists(st.integers(0, 200), max_size=8), last=st.booleans())
def test_rows_come_out_as_they_went_in_however_they_are_cut(
    rows: list[dict[str, Any]], cuts: list[int], last: bool
) -> None:
    body = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode(
        "utf-8", "surrogatepass"
    )
    body += b"\n" if last else b""
    places = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    reader = Rows()
    found: list[dict[str, Any]] = []
    for start, end in pairwise(places):
        found += reader.feed(body[start:end])
    assert found + reader.close() == rows


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_a_value_error(body: bytes) -> None:
    reader = Rows()
    try:
        rows = reader.feed(body) + reader.close()
    except ValueError:
        return
    assert all(isinstance(row, dict) for row in rows)


def test_an_endless_line_is_refused() -> None:
    reader = Rows()
    reader.feed(b"x" * LONGEST_LINE)
    with pytest.raises(ValueError, match="endless"):
        reader.feed(b"x")


text = st.text(st.characters(), min_size=1)  # half surrogate pairs too: JSON can carry them


@settings(deadline=None)
@given(scope=text, name=text, size=st.integers(0, 2**63), events=st.none() | st.integers(0))
def test_a_file_row_is_one_line_of_json(
    scope: str, name: str, size: int, events: int | None
) -> None:
    line = file_row({"scope": scope, "name": name, "bytes": size, "events": events, "guid": "X"})
    line.encode("ascii")
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "scope": scope,
        "name": name,
        "type": "file",
        "bytes": size,
        "events": events,
    }


@pytest.mark.parametrize(
    ("row", "kind", "size", "files"),
    [
        ({"did_type": "CONTAINER", "bytes": None, "length": None}, "container", None, None),
        ({"did_type": "DATASET", "bytes": 104950.0, "length": 100}, "dataset", 104950, 100),
        ({"type": "DATASET"}, "dataset", None, None),
        ({"type": "FILE", "bytes": 5}, "file", 5, None),
        ({"type": "F", "bytes": float("inf"), "length": "x"}, "file", None, None),
        ({"type": "FILE", "bytes": True}, "file", None, None),
    ],
)
def test_a_row_of_a_collection_names_its_kind(
    row: dict[str, Any], kind: str, size: int | None, files: int | None
) -> None:
    line = json.loads(collection_row({"scope": "cms", "name": "/a", **row}))
    assert line == {"scope": "cms", "name": "/a", "type": kind, "bytes": size, "files": files}


@pytest.mark.parametrize(
    "row",
    [
        {"scope": "cms", "name": "/a"},
        {"scope": "cms", "name": "/a", "type": "SUBSCRIPTION"},
        {"scope": "cms", "name": "/a", "type": ["FILE"]},
        {"scope": 1, "name": "/a", "type": "FILE"},
    ],
)
def test_what_is_no_row_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        collection_row(row)


@settings(deadline=None)
@given(scope=text, name=text)
def test_a_did_is_taken_to_the_letter_or_refused(scope: str, name: str) -> None:
    try:
        did = did_from(scope, name)
    except BadRequest:
        return
    assert (did.scope, did.name) == (scope, name)
    first, slash, second = did.path.partition("/")
    assert slash
    assert "/" not in first + second
    assert not {first, second} & {".", ".."}
    did.path.encode("ascii")


@pytest.mark.parametrize(
    "name", ["/a//b", "//a", "a%2fb", "a:b", "/a#1", "<b>", "é", "a b", "...", "/a/.b/..c"]
)
def test_unusual_names_are_quoted_whole(name: str) -> None:
    path = did_from("cms", name).path
    assert unquote(path.removeprefix("cms/")) == name
    assert path.count("/") == 1


@pytest.mark.parametrize("name", ["", ".", "..", "/a/../b", "a/.", "a\x00", "a\x9f", "a\ud800", 5])
def test_names_that_cannot_be_asked_for_are_refused(name: object) -> None:
    with pytest.raises(BadRequest):
        did_from("cms", name)


@pytest.mark.parametrize(
    ("typed", "pattern"),
    [
        ("", "*"),
        ("  ", "*"),
        ("ZMuMu", "*ZMuMu*"),
        (" ZMuMu ", "*ZMuMu*"),
        ("/ZMuMu*", "/ZMuMu*"),
        ("a**b", "a*b"),
        ("2024", "*2024*"),
    ],
)
def test_what_a_user_types_becomes_a_pattern(typed: str, pattern: str) -> None:
    assert search_pattern(typed) == pattern


@settings(deadline=None)
@given(st.text())
def test_a_pattern_always_has_a_star(typed: str) -> None:
    try:
        pattern = search_pattern(typed)
    except BadRequest:
        return
    assert "*" in pattern


def test_scopes_of_both_forms_are_read() -> None:
    assert scopes_of(["b", "a"]) == ["a", "b"]
    assert scopes_of([{"scope": "b", "account": "x"}, {"scope": "a"}]) == ["a", "b"]
    wrongs: list[object] = [{}, [1], [{}], "ab"]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="no "):
            scopes_of(wrong)


def test_a_did_is_written_as_rucio_users_do() -> None:
    assert str(Did("cms", "/a:b")) == "cms:/a:b"


def test_sites_of_rucio_jupyterlab_can_move_over() -> None:
    instances = [
        {
            "name": "atlas",
            "display_name": "ATLAS",
            "rucio_base_url": "https://rucio.example.org/",
            "rucio_auth_url": "https://auth.example.org",
            "rucio_ca_cert": "/etc/ca.pem",
            "mode": "replica",
        },
        {"rucio_base_url": "https://second.example.org"},
    ]
    server = server_from({"audience": "rucio", **from_rucio_jupyterlab(instances)})
    assert (server.url, server.ca_file) == ("https://rucio.example.org", "/etc/ca.pem")
    nothings: list[object] = [None, [], {}, "x", [1], [{"rucio_base_url": 1}]]
    for nothing in nothings:
        assert from_rucio_jupyterlab(nothing) == {}


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost", "http://[::1]:2"])
def test_plain_http_is_taken_on_this_machine_only(url: str) -> None:
    assert server_from({"url": url, "audience": "rucio"}).url == url
    with pytest.raises(ValueError, match="https"):
        server_from({"url": "http://127.0.0.1.example.org", "audience": "rucio"})
