"""``token(…)`` as code in a notebook, a script or a worker uses it."""

from __future__ import annotations

import json
import os
import pickle
import time
import traceback
from typing import TYPE_CHECKING

import pytest

from af_labextension import NoToken, token
from testbed.unsigned import unsigned_token

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "planted.token-of.storage"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set an environment as in a Lab; return the folder of tokens."""
    for name in ("BEARER_TOKEN", "BEARER_TOKEN_FILE", "AF_DOORS"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "tokens"
    folder.mkdir()
    (folder / "storage").write_text(SECRET)
    (folder / "rucio").write_text("planted.token-of.rucio\n")
    monkeypatch.setenv("AF_TOKEN_DIR", str(folder))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return folder


def refusal(audience: str | None) -> NoToken:
    """Return why there is no token; it never tells one."""
    with pytest.raises(NoToken) as error:
        token(audience)
    shown = "".join(traceback.format_exception(error.value))
    assert "planted" not in shown + error.value.detail
    assert error.value.code in str(error.value)
    return error.value


def test_each_audience_has_its_token_and_the_newest(lab: Path) -> None:
    assert token("storage") == SECRET
    assert token("rucio") == "planted.token-of.rucio"
    (lab / "storage").write_text("newer")
    assert token("storage") == "newer"


def test_a_token_is_text_but_does_not_show_itself(lab: Path) -> None:
    value = token("storage")
    assert isinstance(value, str)
    assert {f"Bearer {value}", "Bearer " + value, f"Bearer {value!s}"} == {f"Bearer {SECRET}"}
    assert json.dumps({"token": value}) == json.dumps({"token": SECRET})
    assert value.encode() == SECRET.encode()
    assert pickle.loads(pickle.dumps(value)) == SECRET  # noqa: S301 - our own
    for shown in (repr(value), f"{value!r}", repr({"Authorization": value}), f"{[value]}"):
        assert "planted" not in shown
        assert str(len(SECRET)) in shown


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../storage", "a/b", "/etc/passwd", ".storage", "a\nb", "a" * 65, "é"]
)
def test_a_name_that_leads_elsewhere_is_refused(lab: Path, name: str) -> None:
    (lab.parent / "storage").write_text("planted elsewhere")
    assert refusal(name).code == "unknown-audience"


def test_what_is_no_name_is_refused(lab: Path) -> None:
    assert refusal(7).code == "unknown-audience"  # type: ignore[arg-type]


def test_the_audiences_are_named_when_there_is_no_such_one(lab: Path) -> None:
    (lab / ".storage.1.aa.new").write_text("planted half")
    error = refusal("tape")
    assert (error.code, "rucio, storage." in error.message) == ("unknown-audience", True)
    assert ".new" not in error.message


def test_it_is_told_when_no_token_has_come_yet_and_when_the_folder_is_gone(lab: Path) -> None:
    (lab / "storage").unlink()
    (lab / "rucio").unlink()
    assert refusal("storage").code == "no-token-source"
    lab.rmdir()
    assert refusal("storage").code == "no-token-source"


@pytest.mark.parametrize("content", [b"", b"two planted words", b"planted\r\nCookie: x", b"\xff"])
def test_a_file_with_something_else_is_refused(lab: Path, content: bytes) -> None:
    (lab / "storage").write_bytes(content)
    assert refusal("storage").code == "token-file-unreadable"


def test_a_huge_file_is_refused(lab: Path) -> None:
    (lab / "storage").write_bytes(b"a" * 70_000)
    assert refusal("storage").code == "token-file-unreadable"


def test_discovery_is_followed_when_no_audience_is_named(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 987_654_321)
    assert refusal(None).code == "no-token-source"
    (lab.parent / "bt_u987654321").write_text("of-runtime")
    assert token() == "of-runtime"
    (lab.parent / "bt").write_text("of-file")
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(lab.parent / "bt"))
    assert token() == "of-file"
    monkeypatch.setenv("BEARER_TOKEN", "of-variable")
    assert token() == "of-variable"
    assert token("storage") == SECRET


def test_a_worker_gets_the_token_it_was_given_and_no_other(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AF_TOKEN_DIR")
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(lab / "storage"))
    monkeypatch.setenv("AF_DOORS", "storage=root://cache//store storage=https://disk/store")
    assert token("storage") == token() == SECRET
    error = refusal("rucio")
    assert (error.code, "only for: storage." in error.message) == ("unknown-audience", True)


def test_one_token_serves_all_when_nothing_is_said_about_audiences(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AF_TOKEN_DIR")
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(lab / "storage"))
    assert token("whatever") == SECRET


def test_an_ended_token_is_waited_for_once_and_then_refused(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("af_labextension.readers.patience.LONGEST", 0.3)
    now = time.time()
    (lab / "storage").write_bytes(unsigned_token(iat=now - 600, exp=now))
    assert token("storage")  # its life is counted from when it was written: a clock may be wrong
    (lab / "rucio").write_bytes(unsigned_token(iat=now - 600, exp=now, of="rucio"))
    os.utime(lab / "rucio", (now - 600, now - 600))
    began = time.monotonic()
    assert refusal("rucio").code == "token-expired"
    waited = time.monotonic() - began
    assert waited >= 0.3
    assert refusal("rucio").code == "token-expired"
    (lab / "rucio").write_bytes(unsigned_token(iat=now, exp=now + 600))
    assert token("rucio")
