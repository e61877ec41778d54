"""Narrower tokens: whole path components, nothing that is not configured."""

from __future__ import annotations

from posixpath import normpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_hub.errors import Refusal
from af_hub.iam.scopes import SCOPE_LENGTH, covered, narrowed

CONFIGURED = "storage.read:/store/cms storage.modify:/store/user/ openid"


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("", CONFIGURED),
        ("openid", "openid"),
        ("storage.read:/store/cms", "storage.read:/store/cms"),
        ("storage.read:/store/cms/a/b openid", "openid storage.read:/store/cms/a/b"),
        ("openid openid", "openid"),
        ("storage.modify:/store/user/alice", "storage.modify:/store/user/alice"),
    ],
)
def test_narrower_scope_is_granted_when_it_lies_below(asked: str, granted: str) -> None:
    assert narrowed(asked, CONFIGURED) == granted


@pytest.mark.parametrize(
    "asked",
    [
        "storage.read:/store/cmsx",  # INDIGO IAM itself would give this one
        "storage.read:/store",
        "storage.read:/",
        "storage.read",
        "storage.read:",
        "storage.read:store/cms",
        "storage.create:/store/cms",
        "storage.read:/store/cms/../atlas",
        "storage.read:/store/cms/./a",
        "storage.read:/store/cms//a",
        "storage.read:/store/cms/",
        "storage.read:/store/cms/%2e%2e/atlas",
        "offline_access",
        "openid:/a",
        "openid  ",
        " openid",
        "openid\topenid",
        "openid\n",
        'storage.read:/store/cms/"',
        "storage.read:/store/cms/\u00e9",
        "openid " * SCOPE_LENGTH,
    ],
)
def test_scope_is_refused_when_it_is_not_configured(asked: str) -> None:
    with pytest.raises(Refusal) as caught:
        narrowed(asked, CONFIGURED)
    assert caught.value.code == "scope-refused"


@given(st.lists(st.sampled_from(["store", "cms", "cmsx", "a", "..", ".", "", "%2e"]), max_size=6))
def test_nothing_outside_is_granted_whatever_the_path(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    try:
        granted = narrowed(f"storage.read:{path}", CONFIGURED)
    except Refusal:
        return
    assert granted == f"storage.read:{path}"
    assert normpath(path) == path
    assert f"{path}/".startswith("/store/cms/")


def test_only_what_the_login_has_is_exchanged_when_a_group_came_since() -> None:
    wanted = "storage.read:/store/cms storage.read:/store/atlas"
    assert covered(wanted, "openid storage.read:/store/cms") == "storage.read:/store/cms"
    assert covered(wanted, "storage.read:/store") == wanted
    assert covered(wanted, "openid") == wanted
