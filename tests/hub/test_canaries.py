"""No secret is left anywhere, on whatever path it was used: each path is driven, then all is searched."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import af_hub.iam
from testbed.canary_hub import JWT, Witness, forms_of, start_canary_hub
from testbed.canary_paths import PATHS, PLANTED

if TYPE_CHECKING:
    from collections.abc import Iterator

RAISED: Final = {"IdentityError", "IAMUnavailable", "SessionOver", "Refusal", "_refused"}

NEVER: Final = {
    "iam-busy": "needs a herd, see tests/unit/iam/test_iam_pace.py; nothing is sent",
    "iam-issuer": "before the first login, nothing has been sent",
    "iam-keys-expired": "after two days without keys, nothing is sent",
    "iam-certificate": "the connection ends before anything is sent",
}
"""Codes of `af_hub.iam` that no path below ends in, and why that leaves nothing out."""


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    """Give what was seen on all paths; they are driven in the order of the list."""
    witness = start_canary_hub(tmp_path_factory.mktemp("canaries"))
    try:
        witness.log_in("alice")  # whose name is then taken
        for name, drive in PATHS.items():
            witness.path = name
            drive(witness)
        dora, _ = witness.log_in("dora")
        witness.path = "metrics"
        dora.send(f"{witness.hub.url}/hub/metrics")
        yield witness
    finally:
        witness.hub.stop()
        witness.hub.iam.stop()


def test_no_secret_is_left_anywhere_when_every_path_was_driven(witness: Witness) -> None:
    kinds = set(witness.secrets.values())
    assert kinds >= {"access_token", "refresh_token", "id_token", "brokered token", "code"}
    assert kinds >= {"state", "verifier", "login cookie", "state cookie", "client secret"}
    searched = {form: kind for one, kind in witness.secrets.items() for form in forms_of(one)}
    for place, text in witness.places().items():
        left = {kind for form, kind in searched.items() if form in text}
        assert not left, f"{place} holds a {left}"
        assert PLANTED not in text, place
        assert not JWT.search(text), f"a JWT is in {place}"


def test_all_places_are_searched_when_every_path_was_driven(witness: Witness) -> None:
    places = witness.places()
    assert {"log of the hub", "events", "hub.sqlite", "answers to metrics"} <= set(places)
    assert "[D " in places["log of the hub"]  # the level that says most
    assert "Traceback" in places["log of the hub"]
    assert "af_refusals_total" in places["answers to metrics"]
    assert "encrypted_auth_state" in places["hub.sqlite"]
    assert any("JUPYTERHUB_API_TOKEN" in text for text in places.values())
    # and each path has left something to search
    assert set(PATHS) <= {name.removeprefix("answers to ") for name in places}


def test_every_code_of_the_login_has_a_path_or_a_reason(witness: Witness) -> None:
    sources = sorted(Path(af_hub.iam.__file__).parent.glob("*.py"))
    codes = {code for source in sources for code in codes_in(source)}
    assert {"token-nonce", "iam-failed", "not-a-server"} <= codes
    places = witness.places()
    seen = " ".join([places["events"], *witness.codes])
    driven = {code for code in codes if re.search(rf"(?<![a-z-]){code}(?![a-z-])", seen)}
    assert codes - driven == set(NEVER)


def codes_in(source: Path) -> Iterator[str]:
    """Find the codes that a module refuses or fails with."""
    for call in ast.walk(ast.parse(source.read_text())):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        prefix = "token-" if call.func.id == "refused" else ""
        if prefix or call.func.id in RAISED:
            code = call.args[0]
            for one in (code.body, code.orelse) if isinstance(code, ast.IfExp) else (code,):
                if isinstance(one, ast.Constant):
                    yield f"{prefix}{one.value!s}"
