"""To whom a token may go over https."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_labextension.readers.doors import audience_for, bearer_for, doors_in

if TYPE_CHECKING:
    from pathlib import Path

DOORS = "storage=https://disk:8443/store archive=https://[2001:db8::1]/ storage=root://cache//store"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Give the environment of a Lab with a token for each audience."""
    folder = tmp_path / "tokens"
    folder.mkdir()
    for name in ("storage", "archive"):
        (folder / name).write_text(f"token-for-{name}")
    bearer = tmp_path / "bearer"
    bearer.write_text("bearer")
    return {"AF_DOORS": DOORS, "AF_TOKEN_DIR": str(folder), "BEARER_TOKEN_FILE": str(bearer)}


def token_for(url: str, environ: dict[str, str]) -> str | None:
    """Return what an address would see."""
    audience = audience_for(url, environ)
    bearer = bearer_for(audience, environ) if audience else None
    return bearer.token.decode() if bearer else None


@pytest.mark.parametrize(
    ("url", "audience"),
    [
        ("https://disk:8443/store/a", "storage"),
        ("https://DISK:8443/store", "storage"),
        ("https://disk:8443/store?x=1", "storage"),
        ("https://[2001:db8::1]/x", "archive"),
        ("https://[2001:db8::1]:443/x", "archive"),
    ],
)
def test_a_door_gets_the_token_of_its_audience(
    environ: dict[str, str], url: str, audience: str
) -> None:
    assert token_for(url, environ) == f"token-for-{audience}"


@pytest.mark.parametrize(
    "url",
    [
        "http://disk:8443/store/a",
        "https://disk/store/a",
        "https://disk:8444/store/a",
        "https://disk:8443/storeroom",
        "https://disk:8443/",
        "https://disk:8443@evil/store/a",
        "https://disk:8443.evil/store/a",
        "https://evil/https://disk:8443/store/a",
        "https://disk:bad/store/a",
        "root://cache//store/a",
        "ftp://disk:8443/store/a",
        "//disk:8443/store/a",
        "",
    ],
)
def test_nothing_else_gets_a_token(environ: dict[str, str], url: str) -> None:
    assert token_for(url, environ) is None


def test_the_bearer_token_is_taken_when_there_is_no_folder_of_tokens(
    environ: dict[str, str],
) -> None:
    del environ["AF_TOKEN_DIR"]
    assert token_for("https://disk:8443/store/a", environ) == "bearer"


def test_no_token_of_another_audience_is_taken_when_the_doors_own_is_missing(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "tokens" / "storage").unlink()
    assert token_for("https://disk:8443/store/a", environ) is None


@given(st.text(max_size=80))
def test_any_text_is_borne(text: str) -> None:
    for door in doors_in(text):
        assert door.folder.endswith("/")
    assert token_for(text, {"AF_DOORS": "a=https://disk/store", "BEARER_TOKEN": "x"}) is None


@pytest.mark.parametrize("audience", ["../bearer", "/etc/hostname", ".."])
def test_an_audience_leads_to_no_file_outside_the_folder(
    environ: dict[str, str], audience: str
) -> None:
    environ["AF_DOORS"] = f"{audience}=https://disk/store"
    assert token_for("https://disk/store/a", environ) is None
    del environ["AF_TOKEN_DIR"]
    assert token_for("https://disk/store/a", environ) == "bearer"
