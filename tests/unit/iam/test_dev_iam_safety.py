"""What keeps the development IAM safe although its passwords are public."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from af_hub.embedded.iam.mint import Client
from af_hub.embedded.iam.pages import Pages
from testbed.iam import CALLBACK
from testbed.iam_doors import LOGIN_URL, MACHINE_URL, Doors, authorize, form_field, log_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:-1]
GRANT = {"grant_type": "authorization_code", "redirect_uri": CALLBACK}
SESSION = "af-iam-session-8080"
FORM = "af-iam-form-8080"


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    opened = Doors.open(tmp_path_factory.mktemp("doors"))
    yield opened
    opened.close()


def session_of(browser: FlaskClient) -> str:
    cookie = browser.get_cookie(SESSION, domain="127.0.0.1")
    return cookie.value if cookie else ""


def is_logged_in(browser: FlaskClient) -> bool:
    return "You are logged in" in browser.get("/", base_url=LOGIN_URL).text


# --- where a login may lead ---
@pytest.mark.parametrize(
    "query",
    [
        "next=https://evil.example/",
        "next=//evil.example/&url=//evil.example&continue=%2F%2Fevil.example&return_to=https:evil",
        "user_code=//evil.example/",
        "//evil.example/",
        "/../\\evil.example",
        "%0d%0aLocation:%20https://evil.example/",
        "\u00e9@evil.example",
    ],
)
@pytest.mark.parametrize("path", ["/login", "/device", "/authorize", "/iam/aup/sign"])
def test_login_leads_to_no_foreign_place(doors: Doors, path: str, query: str) -> None:
    browser = doors.browser()
    field = form_field(browser.get("/login", base_url=LOGIN_URL))
    form = {"form": field, "username": "alice", "password": "demo"}
    answer = browser.post(f"{path}?{query}", base_url=LOGIN_URL, data=form)
    assert answer.status_code == 303
    assert "\n" not in answer.location
    place = urlsplit(answer.location)
    assert (place.scheme, place.netloc) == ("", "")
    assert place.path in {"/", "/authorize", "/device"}


@pytest.mark.parametrize("path", ["/login/x", "/authorize/", "/\\evil/../login", "/login;x"])
def test_no_other_path_takes_a_login(doors: Doors, path: str) -> None:
    browser = doors.browser()
    field = form_field(browser.get("/login", base_url=LOGIN_URL))
    form = {"form": field, "username": "alice", "password": "demo"}
    answer = browser.post(path, base_url=LOGIN_URL, data=form)
    assert answer.status_code == 404
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    "uri",
    [
        CALLBACK + "/",
        CALLBACK + "?a=b",
        CALLBACK + "#x",
        CALLBACK.upper(),
        CALLBACK.replace(":9", ":99"),
        CALLBACK.replace("127.0.0.1", "localhost"),
        CALLBACK.replace("127.0.0.1", "127.0.0.1@evil.example"),
        CALLBACK.replace("_", "%5F"),
        CALLBACK + "/../evil",
        " " + CALLBACK,
        CALLBACK + "\u00e9",
        'https://evil.example/"><script>',
        "javascript:alert(1)",
        "",
    ],
)
def test_code_goes_only_to_the_very_address_that_is_registered(doors: Doors, uri: str) -> None:
    browser = doors.browser()
    log_in(browser)
    # also where another parameter is wrong, no error is sent there
    for more in ({}, {"scope": "admin"}, {"response_type": "\u00e9"}, {"prompt": "none"}):
        answer = browser.get(authorize(**({"redirect_uri": uri} | more)), base_url=LOGIN_URL)
        assert answer.status_code == 400
        assert "Location" not in answer.headers
        assert "<script>" not in answer.text


def test_code_goes_nowhere_when_two_addresses_are_named(doors: Doors) -> None:
    browser = doors.browser()
    log_in(browser)
    twice = f"{authorize()}&redirect_uri=https://evil.example/"
    assert browser.get(twice, base_url=LOGIN_URL).status_code == 400


# --- codes ---
def test_code_is_refused_when_it_comes_from_another_place_or_client(doors: Doors) -> None:
    for change in (
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": ""},
        {"client": "other"},
    ):
        code = doors.code()
        answer = doors.post("/token", **(GRANT | {"code": code} | change))
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")
        assert doors.post("/token", **GRANT, code=code).status_code == 200  # it was not used up


def test_code_gives_tokens_once_when_many_come_at_once(doors: Doors) -> None:
    code = doors.code()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: doors.post("/token", **GRANT, code=code), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


@pytest.mark.parametrize("verifier", ["", "x" * 43, CHALLENGE, VERIFIER + "v", "v", "v" * 5000])
def test_challenge_is_enforced_when_one_was_sent(doors: Doors, verifier: str) -> None:
    code = doors.code(code_challenge=CHALLENGE, code_challenge_method="S256")
    answer = doors.post("/token", **GRANT, code=code, code_verifier=verifier)
    assert answer.status_code in {400, 500}  # without a verifier IAM says 500
    assert "access_token" not in answer.text
    good = doors.post("/token", **GRANT, code=code, code_verifier=VERIFIER)
    assert good.status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        {"code_challenge_method": "S512"},
        {"code_challenge_method": "none"},
        {"code_challenge": "short"},
        {"code_challenge": ""},
    ],
)
def test_challenge_is_not_dropped_when_it_is_malformed(doors: Doors, query: dict[str, str]) -> None:
    browser = doors.browser()
    log_in(browser)
    good = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    answer = browser.get(authorize(**(good | query)), base_url=LOGIN_URL)
    assert "code=" not in (answer.location or "")


# --- forms ---
def test_form_of_a_foreign_page_is_refused(doors: Doors) -> None:
    """Another port of this machine is the same site: its pages can plant cookies and post forms."""
    mine = doors.browser()  # what an attacker gets by asking himself
    field = form_field(mine.get("/login", base_url=LOGIN_URL))
    planted = mine.get_cookie(FORM, domain="127.0.0.1")
    assert planted is not None
    given = doors.post("/devicecode", scope="openid").get_json()
    page = f"/device?user_code={given['user_code']}"
    victim = doors.browser()
    log_in(victim)
    good = form_field(victim.get(page, base_url=LOGIN_URL))
    for origin in ("http://127.0.0.1:8888", "https://evil.example", "null", "http://127.0.0.1"):
        form = {"form": good, "button": "Approve"}
        answer = victim.post(page, base_url=LOGIN_URL, data=form, headers={"Origin": origin})
        assert answer.status_code == 400
    victim.set_cookie(FORM, planted.value, domain="127.0.0.1")
    for forged in (field, planted.value, "", "x"):
        form = {"form": forged, "button": "Approve"}
        assert victim.post(page, base_url=LOGIN_URL, data=form).status_code == 400
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    waiting = doors.post("/token", grant_type=grant, device_code=given["device_code"])
    assert waiting.get_json()["error"] == "authorization_pending"


def test_nobody_is_logged_in_or_signs_by_a_foreign_page(doors: Doors) -> None:
    browser = doors.browser()
    field = form_field(browser.get("/login", base_url=LOGIN_URL))
    form = {"form": field, "username": "alice", "password": "demo"}
    headers = {"Origin": "http://127.0.0.1:8888"}
    for path in ("/login", "/device", authorize()):
        answer = browser.post(path, base_url=LOGIN_URL, data=form, headers=headers)
        assert answer.status_code == 400
    assert not session_of(browser)
    answer = browser.post("/login", base_url=LOGIN_URL, data=form, headers={"Origin": LOGIN_URL})
    assert answer.status_code == 303
    store = doors.provider.store
    store.set_policy("Behave.")
    try:
        assert browser.post("/iam/aup/sign", base_url=LOGIN_URL, data=form).status_code == 200
        sub = store.person(username="alice")
        assert sub is not None
        assert store.unsigned_policy(sub.sub) is not None
    finally:
        store.set_policy(None)


def test_forms_of_several_tabs_are_good(doors: Doors) -> None:
    browser = doors.browser()
    first = form_field(browser.get("/login", base_url=LOGIN_URL))
    browser.get(authorize(), base_url=LOGIN_URL)
    form = {"form": first, "username": "alice", "password": "demo"}
    assert browser.post("/login", base_url=LOGIN_URL, data=form).status_code == 303


def test_form_cannot_be_framed_and_runs_no_foreign_script(doors: Doors) -> None:
    answer = doors.browser().get("/login?x=<script>", base_url=LOGIN_URL)
    rules = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in rules
    assert "frame-ancestors 'none'" in rules
    assert "<script>" not in answer.text
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"


# --- sessions ---
def test_planted_session_is_not_taken_over(doors: Doors) -> None:
    browser = doors.browser()
    browser.set_cookie(SESSION, "planted", domain="127.0.0.1")
    log_in(browser)
    assert len(session_of(browser)) >= 40
    attacker = doors.browser()
    attacker.set_cookie(SESSION, "planted", domain="127.0.0.1")
    assert not is_logged_in(attacker)


def test_session_before_ends_when_somebody_logs_in_again(doors: Doors) -> None:
    browser, other = doors.browser(), doors.browser()
    log_in(browser)
    other.set_cookie(SESSION, session_of(browser), domain="127.0.0.1")
    assert is_logged_in(other)
    log_in(browser, "bob")
    assert is_logged_in(browser)
    assert not is_logged_in(other)


def test_session_cookie_is_only_for_this_site(doors: Doors) -> None:
    browser = doors.browser()
    answer = log_in(browser)
    cookie = next(c for c in answer.headers.getlist("Set-Cookie") if c.startswith(SESSION))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Domain" not in cookie


def test_session_ends_by_time(doors: Doors) -> None:
    person = doors.provider.store.person(username="alice")
    assert person is not None
    for seconds, lives in ((100, True), (-1, False)):
        doors.provider.store.add_session(f"s{seconds}", person.sub, seconds)
        browser = doors.browser()
        browser.set_cookie(SESSION, f"s{seconds}", domain="127.0.0.1")
        assert is_logged_in(browser) is lives


# --- secrets ---
def test_secrets_are_compared_in_constant_time() -> None:
    # the time itself cannot be seen in a noisy machine
    for compare in (Client.check_client_secret, Pages.form_is_ours):
        assert "compare_digest" in compare.__code__.co_names


@pytest.mark.parametrize("way", ["header", "form"])
@pytest.mark.parametrize("change", ["", "x", "prefix", "suffix", "\u00e9", "\0"])
def test_wrong_secret_is_refused(doors: Doors, way: str, change: str) -> None:
    secret = {"prefix": doors.secret[:-1], "suffix": doors.secret + "0"}.get(change, change)
    form, headers = {"grant_type": "refresh_token", "refresh_token": "x"}, {}
    if way == "header":
        basic = base64.b64encode(f"af-hub:{secret}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
    else:
        form |= {"client_id": "af-hub", "client_secret": secret}
    for path in ("/token", "/revoke", "/introspect", "/devicecode"):
        answer = doors.machine.test_client().post(
            path, base_url=MACHINE_URL, data=form | {"token": "x"}, headers=headers
        )
        assert (answer.status_code, answer.get_json()["error"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    "header", ["Basic /w==", "Basic \xe9", "Basic", "Basic Og==", "Bearer x", ""]
)
def test_credentials_are_wrong_when_they_cannot_be_read(doors: Doors, header: str) -> None:
    answer = doors.machine.test_client().post(
        "/token",
        base_url=MACHINE_URL,
        data={"grant_type": "refresh_token", "refresh_token": "x"},
        headers={"Authorization": header},
    )
    assert (answer.status_code, answer.text.count("Bad credentials")) == (401, 1)


def test_page_of_a_device_shows_what_is_approved(doors: Doors) -> None:
    given = doors.post("/devicecode", scope="openid wlcg.groups").get_json()
    assert given
    browser = doors.browser()
    path = f"/device?user_code={given['user_code']}"
    log_in(browser, "alice", path)
    page = browser.get(path, base_url=LOGIN_URL).text
    for shown in ("af-hub", given["user_code"], "wlcg.groups", "<b>alice</b>", 'value="Deny"'):
        assert shown in page


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("PUT", "/authorize")])
def test_refusal_is_a_page_of_ours(doors: Doors, method: str, path: str) -> None:
    answer = doors.browser().open(path, method=method, base_url=LOGIN_URL)
    assert answer.status_code in {404, 405}
    assert "Development IAM" in answer.text
    assert ("Allow" in answer.headers) is (method == "PUT")


# --- under which names it answers ---
@pytest.mark.parametrize("path", ["/", "/login", "/authorize", "/device"])
@pytest.mark.parametrize(
    "name", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_pages_answer_under_no_name_of_somebody_else(doors: Doors, path: str, name: str) -> None:
    answer = doors.browser().get(path, base_url=f"http://{name}:8080/")
    assert answer.status_code == 400
    assert "<form" not in answer.text


def test_pages_answer_under_this_machines_own_names(doors: Doors) -> None:
    for name in ("127.0.0.1", "localhost"):
        assert doors.browser().get("/login", base_url=f"http://{name}:8080/").status_code == 200
