"""No token stays in a log, and everything else does."""

from __future__ import annotations

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_hub.embedded.xrootd.redaction import HIDDEN, redact

CONTEXTS = (
    "error Open() of root://u23@localhost:1094//store/f.bin?authz=Bearer%20{} failed",
    "?authz=Bearer+{}&next=1",
    "opaque: authz=Bearer {}",
    "GET /store/f.bin Authorization: Bearer {}",
    "authorization:Bearer {}",
    "header 'Authorization' = 'Bearer {}'",
    "token {}",
    "({})",
)


@given(
    claims=st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4),
    key=st.binary(min_size=32, max_size=40),
    context=st.sampled_from(CONTEXTS),
    cut=st.integers(min_value=20, max_value=400),
)
def test_token_is_hidden_wherever_it_stands_and_however_it_is_cut(
    claims: dict[str, str], key: bytes, context: str, cut: int
) -> None:
    token = jwt.encode(claims, key, algorithm="HS256")[:cut]
    before, _, after = context.partition("{}")
    said = redact(context.format(token).encode()).decode()
    assert token[10:] not in said
    assert all(part not in said for part in token[:cut].split(".") if len(part) > 12)
    assert said.startswith(before.split("Bearer")[0])
    # what follows the token is still there, or was cut off with it
    assert said.endswith((after.strip("')"), after, HIDDEN.decode()))


@pytest.mark.parametrize("context", CONTEXTS[:5])
def test_token_of_another_kind_is_hidden_when_it_is_named(context: str) -> None:
    assert b"0xdeadbeef" not in redact(context.format("0xdeadbeef-0xdeadbeef").encode())


@pytest.mark.parametrize(
    "line",
    [
        "261121 16:20:21 30791 XrootdXeq: root.1:23@[::127.0.0.1] login as 0d4c9c3e-alice",
        "XrdPfc_Cache: info Attach() root://u23@localhost:1095//store/cms/f5.bin?x=authorized",
        "",
        "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
    ],
)
def test_line_is_left_alone_when_it_holds_no_token(line: str) -> None:
    assert redact(line.encode("latin-1")) == line.encode("latin-1")
