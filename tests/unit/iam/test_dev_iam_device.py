"""The development IAM's device flow: by default the real one's source code, by a switch RFC 8628."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest

from testbed.iam import IAM, start_iam

if TYPE_CHECKING:
    from collections.abc import Iterator

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IAM]:
    iam = start_iam(tmp_path_factory.mktemp("iam"), more_clients={"other": {}})
    yield iam
    iam.stop()


def ask(iam: IAM, given: dict[str, Any]) -> Any:
    return iam.post("token", grant_type=GRANT, device_code=given["device_code"])


def decide(iam: IAM, given: dict[str, Any], button: str) -> None:
    browser = iam.browser()
    page = browser.send(given["verification_uri_complete"])
    asked = browser.follow(browser.log_in(page, "alice"))
    assert browser.press(asked, button).status == 200


def test_device_gets_tokens_when_a_person_approves(own: IAM) -> None:
    given = own.post("devicecode", scope="openid offline_access wlcg.groups").json
    assert "interval" not in given
    pending = ask(own, given).json
    assert pending["error"] == "authorization_pending"
    assert given["device_code"] in pending["error_description"]
    foreign = ask(own.acting_as("other"), given).json
    unknown = own.post("token", grant_type=GRANT, device_code='x\u00e9"y').json
    assert foreign["error"] == unknown["error"] == "invalid_grant"
    assert unknown["error_description"] == "Invalid device code: xy"
    browser = own.browser()
    page = browser.send(given["verification_uri"])
    typing = browser.follow(browser.log_in(page, "alice"))
    asked = browser.send(f"{given['verification_uri']}?user_code={given['user_code'].lower()}")
    assert "wlcg.groups" in asked.text
    assert 'name="user_code"' in typing.text
    assert browser.send(asked.url, {"form": "x", "button": "Approve"}).status == 400
    assert ask(own, given).json["error"] == "authorization_pending"
    asked = browser.send(asked.url)
    assert browser.press(asked, "Approve").status == 200
    assert browser.send(asked.url).status == 400  # nobody decides twice
    tokens = ask(own, given).json
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    assert claims["wlcg.groups"] == ["/cms", "/cms/uscms"]
    assert own.refresh(tokens["refresh_token"]).status == 200
    assert ask(own, given).json["error"] == "invalid_grant"


def test_device_goes_on_waiting_when_it_is_denied(own: IAM) -> None:
    given = own.post("devicecode", scope="openid").json
    decide(own, given, "Deny")
    assert ask(own, given).json["error"] == "authorization_pending"
    decide(own, given, "Approve")  # whoever denied by mistake can still approve
    assert ask(own, given).status == 200


def test_device_is_borne_when_it_asks_often(own: IAM) -> None:
    given = own.post("devicecode", scope="openid").json
    assert {ask(own, given).json["error"] for _ in range(5)} == {"authorization_pending"}


def test_device_gets_nothing_when_it_is_late_or_greedy(own: IAM) -> None:
    late = own.post("devicecode", scope="openid").json
    assert late["expires_in"] == 600
    with own.switched(skew_seconds=601):
        assert ask(own, late).json["error"] == "expired_token"
        fresh, page = own.browser(), late["verification_uri"]
        fresh.follow(fresh.log_in(fresh.send(page), "alice"))
        assert fresh.send(f"{page}?user_code={late['user_code']}").status == 400
    assert own.post("devicecode", scope="openid admin").json["error"] == "invalid_scope"


def test_device_is_told_of_a_denial_when_the_flow_is_the_standards(own: IAM) -> None:
    with own.switched(standard_device_flow=True):
        given = own.post("devicecode", scope="openid").json
        assert given["interval"] == 5
        decide(own, given, "Deny")
        assert ask(own, given).json["error"] == "access_denied"


def test_device_is_slowed_down_when_the_flow_is_the_standards(own: IAM) -> None:
    """RFC 8628, section 3.5: the interval grows by five seconds, for this and all later calls."""
    given = own.post("devicecode", scope="openid").json
    seen = []
    # seconds after the first question; slow_down at 1 makes the interval 10, that at 7 makes it 15
    for seconds in (0, 1, 7, 23, 39):
        with own.switched(standard_device_flow=True, skew_seconds=seconds):
            seen.append(ask(own, given).json["error"])
    pending, slow = "authorization_pending", "slow_down"
    assert seen == [pending, slow, slow, pending, pending]
