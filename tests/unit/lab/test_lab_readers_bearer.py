"""The token of the moment: found where XRootD's clients find it, named when it changes."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_labextension.readers.bearer import find_bearer, lifetime
from af_labextension.readers.names import connection_name
from af_labextension.readers.xrootd import IDLE, Generations, idle_limits
from testbed.unsigned import unsigned_token

if TYPE_CHECKING:
    from pathlib import Path


def bearer_token(environ: dict[str, str]) -> bytes | None:
    """Return the token that is found."""
    found = find_bearer(environ)
    return found.token if found else None


def test_places_are_searched_in_the_order_of_the_discovery(tmp_path: Path) -> None:
    named, usual = tmp_path / "named", tmp_path / f"bt_u{os.geteuid()}"
    named.write_text("from-file\n")
    usual.write_text("from-folder")
    environ = {
        "BEARER_TOKEN": " value ",
        "BEARER_TOKEN_FILE": str(named),
        "XDG_RUNTIME_DIR": str(tmp_path),
    }
    assert bearer_token(environ) == b"value"
    environ["BEARER_TOKEN"] = ""
    assert bearer_token(environ) == b"from-file"
    named.unlink()
    assert bearer_token(environ) == b"from-folder"
    assert "from-folder" not in repr(find_bearer(environ))


def test_the_name_follows_the_file_and_stays_when_the_file_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "token"
    environ = {"BEARER_TOKEN_FILE": str(file), "XDG_RUNTIME_DIR": str(tmp_path)}
    generations = Generations(lambda *_: None, environ)
    assert generations.name() is None
    assert generations.address("root://cache//f") == "root://cache//f"
    for token in (b"one", b"two"):
        file.write_bytes(token + b"\n")
        assert generations.name() == connection_name(token)
    file.write_bytes(b"")
    assert generations.name() == connection_name(b"two")
    file.unlink()
    assert generations.address("root://cache//f") == f"root://{connection_name(b'two')}@cache//f"


def test_idle_connections_are_given_up_sooner_when_tokens_are_short(tmp_path: Path) -> None:
    file = tmp_path / "token"
    settings: dict[str, int] = {}
    generations = Generations(settings.__setitem__, {"BEARER_TOKEN_FILE": str(file)})
    file.write_bytes(unsigned_token(iat=1000, exp=1020))
    generations.name()
    assert settings == {"DataServerTTL": 2, "LoadBalancerTTL": 2, "TimeoutResolution": 2}
    file.write_bytes(unsigned_token(iat=1000, exp=4600))
    generations.name()
    assert settings == {**IDLE, "LoadBalancerTTL": 450}


@given(st.floats(0, 10**9))
def test_an_idle_connection_is_gone_before_the_next_token_when_it_lives_ten_seconds(
    life: float,
) -> None:
    limits = idle_limits(life)
    assert all(1 <= limits[name] <= usual for name, usual in IDLE.items())
    if life >= 10:
        assert max(limits.values()) + limits["TimeoutResolution"] <= 0.5 * life


@pytest.mark.parametrize(
    "token",
    [
        b"opaque",
        b"a.b.c",
        b"a.e30.c",
        b"a.W10.c",
        unsigned_token(exp=1),
        unsigned_token(exp="x", iat=1),
        b"..",
    ],
)
def test_no_lifetime_is_known_when_the_token_does_not_say(token: bytes) -> None:
    assert lifetime(token) is None


@given(st.binary(max_size=80))
def test_any_bytes_are_borne_when_the_lifetime_is_read(token: bytes) -> None:
    lifetime(token)
    lifetime(b"a." + base64.urlsafe_b64encode(token) + b".c")
