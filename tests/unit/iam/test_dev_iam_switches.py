"""The switches of the development IAM: other providers' ways and faults, each by its name."""

from __future__ import annotations

import json
import ssl
import stat
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import jwt
import pytest
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from af_hub.embedded.assembly import wire
from af_hub.embedded.iam.config import IAMConfig
from af_hub.embedded.iam.faults import Faulty
from af_hub.embedded.iam.keys import Signer
from af_hub.embedded.iam.part import iam_config
from af_hub.embedded.iam.switches import Control, Endpoint, Fault, Kind, Switches, changed
from af_hub.embedded.layout import Layout
from testbed.iam import IAM, start_iam

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
NO_ANSWER = (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IAM]:
    iam = start_iam(tmp_path_factory.mktemp("iam"))
    yield iam
    iam.stop()


def read(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def keys(iam: IAM) -> dict[str, dict[str, Any]]:
    return {key["kid"]: key for key in iam.browser().send(f"{iam.issuer}jwk").json["keys"]}


def kid(token: str) -> Any:
    return jwt.get_unverified_header(token).get("kid")


def is_signed(iam: IAM, token: str) -> bool:
    """Tell whether a token's signature fits the published key of its kid."""
    key = keys(iam)[kid(token)]
    loader: Any = RSAAlgorithm if key["kty"] == "RSA" else ECAlgorithm
    algorithms = [jwt.get_unverified_header(token)["alg"]]
    try:
        jwt.decode(token, loader.from_jwk(key), algorithms=algorithms, audience="af-hub")
    except jwt.InvalidSignatureError:
        return False
    return True


# --- other providers' ways ---
def test_whole_login_ends_when_a_family_is_revoked_on_reuse(own: IAM) -> None:
    first, other = own.log_in("bob"), own.log_in("bob")
    second = own.refresh(first["refresh_token"]).json
    third = own.refresh(second["refresh_token"]).json
    with own.switched(revoke_family_on_reuse=True):
        assert own.refresh(first["refresh_token"]).status == 401
        assert own.refresh(third["refresh_token"]).status == 401
        assert not own.is_active(third["access_token"])
        assert own.refresh(other["refresh_token"]).status == 200


def test_losers_of_a_race_end_the_family_when_it_is_revoked_on_reuse(own: IAM) -> None:
    token = own.log_in("bob")["refresh_token"]
    with own.switched(revoke_family_on_reuse=True):
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: own.refresh(token), range(6)))
        won = [answer.json for answer in answers if answer.status == 200]
        assert len(won) == 1
        assert own.refresh(won[0]["refresh_token"]).status == 401


def test_dead_refresh_token_is_invalid_grant_when_errors_are_standard(own: IAM) -> None:
    with own.switched(standard_errors=True):
        answer = own.refresh("planted")
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")
    assert "planted" not in answer.text


def test_refresh_gives_no_id_token_when_it_is_switched_off(own: IAM) -> None:
    tokens = own.log_in("bob")
    with own.switched(id_token_on_refresh=False):
        assert "id_token" not in own.refresh(tokens["refresh_token"]).json
        assert "id_token" in own.log_in("bob")


def test_audiences_are_refused_when_the_provider_is_strict(own: IAM) -> None:
    tokens = own.log_in("bob")
    with own.switched(refused_audiences=True):
        exchanged = own.exchange(tokens["access_token"], "openid", audience="https://x")
        refreshed = own.refresh(tokens["refresh_token"], audience="https://x")
        for answer in (exchanged, refreshed):
            assert (answer.status, answer.json["error"]) == (400, "invalid_target")
        assert own.refresh(tokens["refresh_token"]).status == 200


# --- keys and claims ---
def test_key_rotates_when_it_is_switched(own: IAM) -> None:
    old = own.log_in("bob")
    assert list(keys(own)) == [kid(old["id_token"])]
    with own.switched(signing_key=1, published_keys=(0, 1)):
        both = keys(own)
        new = own.refresh(old["refresh_token"]).json
        assert list(both) == [kid(old["id_token"]), kid(new["id_token"])]
        assert kid(new["access_token"]) == kid(new["id_token"]) != kid(old["id_token"])
        assert is_signed(own, new["id_token"])
    with own.switched(signing_key=1):
        assert list(keys(own)) == [kid(new["id_token"])]
        assert own.is_active(new["access_token"])
    with own.switched(signing_key=1, published_keys=(0,)):  # signs before it publishes
        assert kid(own.log_in("bob")["id_token"]) not in keys(own)


def test_keys_live_on_when_it_restarts(tmp_path: Path) -> None:
    (tmp_path / "switches.json").write_text('{"signing_key": 2}')
    first = Signer(tmp_path, Control(tmp_path))
    token, published = first.sign({"sub": "x"}), first.jwks()
    (tmp_path / "switches.json").write_text("{}")
    second = Signer(tmp_path, Control(tmp_path))
    assert second.jwks() != published
    assert second.read(token) == {"sub": "x"}  # signed by a key that only a file knows now
    for path in tmp_path.glob("*.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_id_tokens_are_signed_as_the_switches_say(own: IAM) -> None:
    for algorithm in ("RS256", "ES256", "HS256", "none"):
        with own.switched(algorithm=algorithm):
            tokens = own.log_in("bob")
            header = jwt.get_unverified_header(tokens["id_token"])
            assert header["alg"] == algorithm
            assert jwt.get_unverified_header(tokens["access_token"])["alg"] == "RS256"
            if algorithm in {"RS256", "ES256"}:
                assert is_signed(own, tokens["id_token"])
            elif algorithm == "HS256":
                jwt.decode(tokens["id_token"], own.secret, ["HS256"], audience="af-hub")
            else:
                assert tokens["id_token"].endswith(".")
    for algorithm in ("RS256", "ES256"):
        with own.switched(algorithm=algorithm, spoil_signature=True):
            assert not is_signed(own, own.log_in("bob")["id_token"])
    with own.switched(id_token_header={"kid": None}):
        assert kid(own.log_in("bob")["id_token"]) is None


def test_claims_are_replaced_or_left_out_when_they_are_switched(own: IAM) -> None:
    with own.switched(
        id_token={"iss": "https://evil.example/", "nonce": None},
        access_token={"wlcg.groups": ["/atlas"], "wlcg.ver": None},
        userinfo={"sub": "somebody-else", "email": None},
        discovery={"issuer": "https://other.example/", "revocation_endpoint": None},
        token_answer={"expires_in": None, "token_type": "mac"},
    ):
        tokens = own.log_in("bob")
        identity, access = read(tokens["id_token"]), read(tokens["access_token"])
        assert identity["iss"] == "https://evil.example/"
        assert "nonce" not in identity
        assert access["wlcg.groups"] == ["/atlas"]
        assert "wlcg.ver" not in access
        assert tokens["token_type"] == "mac"
        assert "expires_in" not in tokens
        info = own.userinfo(tokens["access_token"]).json
        assert info["sub"] == "somebody-else"
        assert "email" not in info
        document = own.browser().send(f"{own.issuer}.well-known/openid-configuration").json
        assert document["issuer"] == "https://other.example/"
        assert "revocation_endpoint" not in document
    assert read(own.log_in("bob")["id_token"])["iss"] == own.issuer


@pytest.mark.parametrize("skew", [600, -600, 8 * 3600])
def test_clock_goes_wrong_when_it_is_switched(own: IAM, skew: int) -> None:
    old = own.log_in("bob")
    with own.switched(skew_seconds=skew):
        tokens = own.log_in("bob")
        for name in ("id_token", "access_token"):
            assert abs(read(tokens[name])["iat"] - time.time() - skew) < 10
        assert own.is_active(tokens["access_token"])  # by its own clock it is right
        assert own.is_active(old["access_token"]) is (skew < 3600)


# --- faults ---
def test_calls_fail_the_number_of_times_that_was_asked_for(own: IAM) -> None:
    tokens = own.log_in("bob")
    with own.failing("token", status=502, retry_after=7, skip=1, times=2, grant="refresh_token"):
        answers = []
        for _ in range(4):
            assert own.exchange(tokens["access_token"], "openid").status == 200
            answers.append(own.refresh(tokens["refresh_token"]))
            if answers[-1].status == 200:
                tokens = answers[-1].json
    assert [answer.status for answer in answers] == [200, 502, 502, 200]
    assert answers[1].headers["Retry-After"] == "7"


def test_share_of_calls_fails_and_the_same_ones_each_time(own: IAM) -> None:
    draws = []
    for _ in range(2):
        with own.failing("jwk", percent=30):
            door = own.browser()
            draws.append([door.send(f"{own.issuer}jwk").status for _ in range(40)])
    assert draws[0] == draws[1]
    assert 4 < draws[0].count(503) < 20


def test_answer_comes_late_when_an_endpoint_is_slow(own: IAM) -> None:
    with own.failing("discovery", "slow", seconds=0.4):
        begun = time.monotonic()
        assert own.browser().send(f"{own.issuer}.well-known/openid-configuration").json
        assert time.monotonic() - begun >= 0.4


def test_others_are_served_and_the_end_is_prompt_when_calls_hang(own: IAM) -> None:
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            own.browser().send(f"{own.issuer}userinfo")
        except NO_ANSWER as error:
            failures.append(error)

    own.forget_calls()
    with own.failing("userinfo", "hang"):
        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        while len(own.calls("userinfo")) < 12:
            time.sleep(0.02)
        assert own.log_in("bob")
        assert not failures
    end = time.monotonic() + 10  # half of the browser's own patience
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    assert len(failures) == 12


def test_calls_that_hang_end_when_the_iam_stops(tmp_path: Path) -> None:
    (tmp_path / "switches.json").write_text('{"faults": [{"at": "jwk", "kind": "hang"}]}')
    control = Control(tmp_path)
    threading.Timer(0.2, control.closed.set).start()
    begun = time.monotonic()
    with pytest.raises(ConnectionResetError):
        Faulty(lambda *_: [], control)({"PATH_INFO": "/jwk"}, lambda *_: None)
    assert time.monotonic() - begun < 5


def test_refresh_is_done_but_not_seen_when_its_answer_is_lost(own: IAM) -> None:
    tokens = own.log_in("bob")
    with own.failing("token", "lost", times=1), pytest.raises(NO_ANSWER):
        own.refresh(tokens["refresh_token"])
    assert own.refresh(tokens["refresh_token"]).status == 401


def test_refresh_is_not_done_when_the_connection_drops(own: IAM) -> None:
    tokens = own.log_in("bob")
    with own.failing("token", "drop", times=1), pytest.raises(NO_ANSWER):
        own.refresh(tokens["refresh_token"])
    assert own.refresh(tokens["refresh_token"]).status == 200


def test_half_an_answer_comes_when_it_is_cut(own: IAM) -> None:
    with own.failing("jwk", "cut"), pytest.raises(NO_ANSWER):
        own.browser().send(f"{own.issuer}jwk")


def test_garbage_comes_when_it_is_asked_for(own: IAM) -> None:
    with own.failing("token", "garbage"):
        answer = own.refresh("x")
        assert answer.status == 200
        with pytest.raises(json.JSONDecodeError):
            answer.json  # noqa: B018  reading it is the test
    with own.failing("userinfo", "garbage", body="[1]" * 1000, repeat=100, content_type="a/b"):
        answer = own.userinfo("x")
        assert (len(answer.text), answer.headers["Content-Type"]) == (300_000, "a/b")


def test_refusal_repeats_what_was_sent_when_it_is_an_echo(own: IAM) -> None:
    tokens = own.log_in("bob")
    with own.failing("token", "echo", status=401, error="invalid_token"):
        answer = own.refresh(tokens["refresh_token"])
    assert (answer.status, answer.json["error"]) == (401, "invalid_token")
    for text in (answer.json["error_description"], answer.headers["WWW-Authenticate"]):
        assert tokens["refresh_token"] in text
    assert own.refresh(tokens["refresh_token"]).status == 200  # it was not processed


def test_every_door_fails_when_any_is_named(own: IAM) -> None:
    with own.failing("any"):
        for address in (
            f"{own.issuer}jwk",
            f"{own.issuer}userinfo",
            f"{own.config.login_url}device",
            f"{own.config.login_url}authorize",
        ):
            assert own.browser().send(address).status == 503


def test_calls_are_noted_without_anything_secret(own: IAM) -> None:
    tokens = own.log_in("bob")
    own.forget_calls()
    assert own.calls() == []
    own.refresh(tokens["refresh_token"])
    with own.failing("token", times=1):
        own.exchange(tokens["access_token"], "openid")
    calls = own.calls("token")
    assert [(call.status, call.fault) for call in calls] == [(200, ""), (503, "status")]
    assert len(own.calls("token", grant="refresh_token")) == 1
    assert own.config.control is not None
    noted = (own.config.control / "calls.jsonl").read_text()
    assert tokens["refresh_token"] not in noted
    assert tokens["access_token"] not in noted


# --- off unless a configuration turns it on ---
def test_nothing_can_be_switched_when_no_folder_is_configured(tmp_path: Path) -> None:
    iam = start_iam(tmp_path, switchable=False)
    try:
        wanted = Switches(faults=(Fault(at="any"),)).model_dump_json()
        for folder in (iam.layout.root, iam.layout.root / "switches", iam.config.data):
            (folder / "switches.json").write_text(wanted)
        assert iam.browser().send(f"{iam.issuer}jwk").status == 200
        for path in ("switches.json", "switches", "calls.jsonl"):
            assert iam.browser().send(iam.issuer + path).status == 404
            assert iam.browser().send(iam.config.login_url + path).status == 404
        assert not list(iam.layout.root.rglob("calls.jsonl"))
    finally:
        iam.stop()


def test_facility_cannot_be_switched(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.create()
    wiring = wire(layout, host="127.0.0.1", port=8000, facility_file=None)
    assert iam_config(wiring).control is None


def test_control_is_off_by_default_and_reads_at_each_use(tmp_path: Path) -> None:
    assert IAMConfig.model_fields["control"].default is None
    off = Control()
    off.note("token", "", 200, None)
    assert not off.enabled
    assert off.strike("token", "") is None
    control = Control(tmp_path)
    assert control.switches() == Switches()
    (tmp_path / "switches.json").write_text('{"skew_seconds": -5}')
    assert abs(control.now() - time.time() + 5) < 1
    with pytest.raises(ValueError, match="extra"):
        Switches.model_validate({"unknown": 1})


def test_switches_stay_when_the_file_is_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    control = Control(tmp_path)
    for text in ('{"skew_seconds": 7}', '{"skew_secnods": 9}', "{"):
        (tmp_path / "switches.json").write_text(text)
        assert control.switches().skew_seconds == 7
        assert control.strike("token", "") is None
    assert "skew_secnods" in caplog.text


def test_page_names_everything_that_can_be_switched() -> None:
    page = (ROOT / "docs/administrator/development-iam.md").read_text()
    names = [*Switches.model_fields, *Fault.model_fields, *get_args(Kind), *get_args(Endpoint)]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_example_of_the_page_is_right() -> None:
    page = (ROOT / "docs/administrator/development-iam.md").read_text()
    example = Switches.model_validate_json(page.partition("```json\n")[2].partition("```")[0])
    assert (example.faults[0].status, example.skew_seconds) == (503, 600)


def test_claims_change_as_a_mapping_says() -> None:
    assert changed({"a": 1, "b": 2}, {"a": None, "c": 3}) == {"b": 2, "c": 3}
