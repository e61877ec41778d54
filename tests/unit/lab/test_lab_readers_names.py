"""Names of connections in addresses: whatever the address, nothing else of it changes."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_labextension.readers.names import connection_name, named, shown

NAMES = st.binary(min_size=1).map(connection_name)
HOSTS = st.from_regex(r"[a-z0-9.-]{1,20}(:[0-9]{1,5})?|\[::1\](:[0-9]{1,5})?", fullmatch=True)
PATHS = st.text(max_size=40).map(lambda text: "/" + text) | st.just("")
SCHEMES = st.sampled_from(["root", "roots", "xroot", "xroots"])
USERS = st.just("") | st.from_regex(r"[a-z0-9:_-]{0,12}@", fullmatch=True)
ADDRESSES = st.tuples(SCHEMES, st.just("://"), USERS, HOSTS, PATHS).map("".join)


@given(SCHEMES, HOSTS, PATHS, NAMES)
def test_only_the_name_is_added_when_an_address_has_none(
    scheme: str, host: str, path: str, name: str
) -> None:
    url = f"{scheme}://{host}{path}"
    assert named(url, name) == f"{scheme}://{name}@{host}{path}"
    assert shown(named(url, name)) == url


@given(ADDRESSES, NAMES, NAMES)
def test_a_second_time_changes_nothing_and_the_last_name_wins(
    url: str, one: str, other: str
) -> None:
    assert named(named(url, one), one) == named(url, one)
    assert named(named(url, one), other) == named(url, other)


@given(st.text(max_size=60), NAMES)
def test_any_other_text_stays_as_it_is(text: str, name: str) -> None:
    scheme = text.partition("://")[0]
    if scheme not in {"root", "roots", "xroot", "xroots"}:
        assert named(text, name) == text


@pytest.mark.parametrize(
    "url",
    [
        "root://alice@cache//f",
        "root://alice:secret@cache//f",
        "root://@cache//f",
        "root://tba7816bb@cache//f",
        "root://a@b@cache//f",
        "root://cache?x=y@z//f",
        "root:///f",
        "root://",
        "ROOT://cache//f",
        "https://cache//f",
        "file:root://cache//f",
        "simplecache::root://cache//f",
        "/store/root://cache//f",
        "",
    ],
)
def test_an_address_stays_when_it_is_the_users_own_or_none_of_xrootd(url: str) -> None:
    assert named(url, "tba7816b") == url


def test_no_name_is_given_when_there_has_been_no_token() -> None:
    assert named("root://cache//f", None) == "root://cache//f"


@given(st.binary(min_size=20))
def test_names_have_eight_letters_that_do_not_stand_in_the_token(token: bytes) -> None:
    name = connection_name(token)
    assert len(name) == 8
    assert name.isalnum()
    assert urlsplit(f"root://{name}@cache//f").username == name


@pytest.mark.parametrize("text", ["alice@cache", "t123@cache", "https://tba7816b@cache", "cache:1"])
def test_what_is_shown_stays_when_the_name_is_not_ours(text: str) -> None:
    assert shown(text) == text
