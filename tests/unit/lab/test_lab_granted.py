"""Folders that lead to what a token allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_labextension.data.granted import leading_names

SCOPE = "openid storage.read:/store/cms storage.read:/store/open/a%20b storage.modify:/store/home"


@pytest.mark.parametrize(
    ("scope", "folder", "names"),
    [
        (SCOPE, "/store", ("cms", "open")),
        (SCOPE, "/", ("store",)),
        (SCOPE, "//store/open/", ("a b",)),
        (SCOPE, "/store/cms", ()),
        (SCOPE, "/store/cmsx", ()),
        (SCOPE, "/stor", ()),
        ("storage.read", "/", ()),
        ("storage.read:store", "/", ()),
        ("storage.read:/", "/", ()),
        ("storage.read:/store/../etc", "/store", ()),
        ("", "/", ()),
    ],
)
def test_way_is_shown_when_something_below_may_be_read(
    scope: str, folder: str, names: tuple[str, ...]
) -> None:
    assert leading_names(scope, folder) == names


@given(st.text(max_size=60), st.text(max_size=30))
def test_names_are_single_components_when_scope_is_anything(scope: str, folder: str) -> None:
    for name in leading_names(scope, folder):
        assert name not in {"", ".", ".."}
        assert "/" not in name
