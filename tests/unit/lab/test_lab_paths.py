"""Paths below a door."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_labextension.data.paths import normalise, url_of
from af_labextension.errors import BadRequest

names = st.text(
    st.characters(blacklist_characters="/", blacklist_categories=("Cc", "Cs")), min_size=1
).filter(lambda name: name not in {".", ".."})


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "/cms/../atlas",
        "cms/..",
        "/a\x00b",
        "/a\nb",
        "/a\x7f",
        "/a\x85",
        "/\ud800",
        "/" + "a" * 4096,
    ],
)
def test_normalise_refuses_when_a_path_could_escape_or_confuse(path: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        normalise(path)
    assert refusal.value.code == "bad-path"


@pytest.mark.parametrize(
    ("path", "form"),
    [("", ""), ("/", ""), ("cms", "/cms"), ("//cms///x/./", "/cms/x"), ("/..a/b..", "/..a/b..")],
)
def test_normalise_gives_one_form_when_slashes_vary(path: str, form: str) -> None:
    assert normalise(path) == form


@given(st.lists(names, max_size=5))
def test_a_path_survives_the_way_into_a_url_when_names_are_odd(parts: list[str]) -> None:
    path = "".join(f"/{part}" for part in parts)
    assert normalise(path) == path
    split = urlsplit(url_of("https://host/store", path))
    assert unquote(split.path) == "/store" + path
    assert not split.query
    assert not split.fragment
