"""The wire format of oidc-agent's socket, between two ends of ours and against PyNaCl itself."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import Box, PrivateKey, PublicKey

from af_labextension.tokens.agent.boxes import KEY_SIZE, Conversation, message_size
from af_labextension.tokens.agent.messages import (
    LARGEST,
    AccountsRequest,
    BadMessage,
    OtherRequest,
    TokenRequest,
    read_request,
    token_request,
)

TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=40)


def pair() -> tuple[Conversation, Conversation]:
    one, other = Conversation(), Conversation()
    one.meet(other.key)
    other.meet(one.key)
    return one, other


@given(text=st.binary(max_size=3000), cut=st.integers(1, 60))
def test_message_comes_out_as_it_went_in_however_it_is_cut(text: bytes, cut: int) -> None:
    one, other = pair()
    message = one.seal(text)
    sizes = {message_size(message[:end]) for end in range(0, min(len(message), 60), cut)}
    assert sizes <= {None, len(message)}
    assert message_size(message) == len(message)
    assert other.open(message) == text


def test_box_is_that_of_nacl_when_another_library_opens_it() -> None:
    ours, theirs = Conversation(), PrivateKey.generate()
    ours.meet(base64.b64encode(bytes(theirs.public_key)))
    length, nonce, cipher = ours.seal(b"{}").split(b":")
    assert (length, len(ours.key), len(nonce)) == (b"2", KEY_SIZE, 32)
    box = Box(theirs, PublicKey(base64.b64decode(ours.key)))
    assert box.decrypt(base64.b64decode(cipher), base64.b64decode(nonce)) == b"{}"


@given(garbage=st.binary(max_size=200))
def test_garbage_is_refused_when_it_is_no_message(garbage: bytes) -> None:
    one, _ = pair()
    with pytest.raises(BadMessage):
        one.open(garbage)
    with pytest.raises(BadMessage):
        Conversation().meet(garbage if len(garbage) != KEY_SIZE else b"")


@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_changed_message_is_refused_when_one_byte_differs(position: int, flip: int) -> None:
    one, other = pair()
    message = bytearray(one.seal(b'{"request":"access_token","account":"af"}'))
    message[position % len(message)] ^= flip
    try:
        opened = other.open(bytes(message))
    except BadMessage:
        return
    # the unused bits of base64's last letter carry nothing
    assert opened == b'{"request":"access_token","account":"af"}'


def test_message_is_refused_when_it_is_for_another_conversation() -> None:
    one, _ = pair()
    _, stranger = pair()
    with pytest.raises(BadMessage):
        stranger.open(one.seal(b"{}"))


def test_message_is_refused_by_its_head_when_it_is_too_long() -> None:
    assert message_size(b"%d:%s:" % (LARGEST, b"A" * 32)) is not None
    with pytest.raises(BadMessage):
        message_size(b"%d:%s:" % (LARGEST + 1, b"A" * 32))
    with pytest.raises(BadMessage):
        message_size(b"x" * 200)


@given(
    account=TEXT,
    audience=TEXT,
    scope=TEXT,
    life=st.integers(0, 10**6),
)
def test_request_is_read_as_it_was_written(
    account: str, audience: str, scope: str, life: int
) -> None:
    request = TokenRequest(account, audience, scope, float(life))
    assert read_request(token_request(request, "test")) == request


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"request":"loaded_accounts"}\0', AccountsRequest()),
        (b'{"request":"account_info"}', AccountsRequest()),
        (b'{"request":"lock"}', OtherRequest("lock")),
        (b'{"request":"access_token","issuer":"https://i"}', TokenRequest("https://i")),
        (b'{"request":"access_token","account":null}', TokenRequest("")),
    ],
)
def test_requests_of_the_field_are_understood(text: bytes, expected: object) -> None:
    assert read_request(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"nonsense",
        b"\xff",
        b"[" * 30_000,
        b'{"request":1}',
        b'{"request":"access_token","account":["af"]}',
        b'{"request":"access_token","scope":"a\\nb"}',
        b'{"request":"access_token","min_valid_period":"60"}',
        b'{"request":"access_token","min_valid_period":-1}',
        b'{"request":"access_token","min_valid_period":NaN}',
        b'{"request":"access_token","min_valid_period":Infinity}',
        b'{"request":"access_token","min_valid_period":true}',
        b'{"request":"access_token","account":"' + b"a" * 9000 + b'"}',
    ],
)
def test_request_is_refused_when_a_field_is_not_what_it_must_be(text: bytes) -> None:
    with pytest.raises(BadMessage):
        read_request(text)


@given(text=st.binary(max_size=300))
def test_garbage_is_refused_when_it_is_no_request(text: bytes) -> None:
    try:
        assert isinstance(json.loads(text), dict)
    except (ValueError, AssertionError, RecursionError):
        with pytest.raises(BadMessage):
            read_request(text)
    else:
        assert isinstance(read_request(text), OtherRequest)
