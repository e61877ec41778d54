"""Whatever comes, the development IAM neither breaks nor tells a secret."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from testbed.iam import CALLBACK
from testbed.iam_doors import LOGIN_URL, MACHINE_URL, Doors, authorize, log_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

METHODS = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "X"]
MACHINE_PATHS = [
    "/token",
    "/userinfo",
    "/revoke",
    "/introspect",
    "/devicecode",
    "/jwk",
    "/.well-known/openid-configuration",
]
LOGIN_PATHS = ["/", "/authorize", "/login", "/logout", "/endsession", "/device", "/iam/aup/sign"]
GRANTS: Final = [
    "authorization_code",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:ietf:params:oauth:grant-type:device_code",
]
NAMES: Final = [
    "grant_type",
    "code",
    "redirect_uri",
    "code_verifier",
    "code_challenge",
    "code_challenge_method",
    "refresh_token",
    "subject_token",
    "actor_token",
    "device_code",
    "user_code",
    "client_id",
    "client_secret",
    "scope",
    "audience",
    "aud",
    "resource",
    "response_type",
    "state",
    "nonce",
    "prompt",
    "max_age",
    "token",
    "token_type_hint",
    "form",
    "username",
    "password",
    "button",
]
KNOWN: Final = [
    *GRANTS,
    CALLBACK,
    "af-hub",
    "code",
    "alice",
    "demo",
    "openid offline_access",
    "storage.read:/store/cms/../x",
    "wlcg.groups:/" + "a" * 300,
    "none",
    "S256",
    "eyJhbGciOiJub25lIn0.e30.",
    "eyJhbGciOiJSUzI1NiJ9.W10.AA",
    '"><script>alert(1)</script>',
    "\r\nSet-Cookie: a=b",
    "\0",
    "\u00e9\u0663\U0001f600",
    "%",
    "9" * 40,
    "9" * 5000,
    "-1",
]

# latin-1, since that is what a WSGI server hands on; no line ends, no server lets them through
header = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=60)
# no half characters: no URL can hold them
word = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
value = st.one_of(st.sampled_from(KNOWN), word)
form = st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), word), value), max_size=9).map(tuple)


Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sent:
    """A request, before it is written."""

    method: str
    path: str
    query: Fields = ()
    form: Fields = ()
    content_type: str = "application/x-www-form-urlencoded"
    authorization: str = ""
    cookie: str = ""
    origin: str = ""

    def open(self, client: FlaskClient, base: str, **headers: str) -> TestResponse:
        """Send it; `headers` replace its own."""
        own = {"Authorization": self.authorization, "Cookie": self.cookie, "Origin": self.origin}
        return client.open(
            self.path,
            method=self.method,
            base_url=base,
            query_string=urlencode(self.query),
            data=urlencode(self.form),
            content_type=self.content_type,
            headers={name: text for name, text in (own | headers).items() if text},
        )


credentials = st.one_of(
    st.just("GOOD"),
    st.binary(max_size=30).map(lambda raw: "Basic " + base64.b64encode(raw).decode()),
    header.map(lambda text: f"Basic {text}"),
    header.map(lambda text: f"Bearer {text}"),
    st.just("Bearer " + "eyJhbGciOiJSUzI1NiJ9.W10.AA"),
    header,
)
PATIENT = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Watched:
    """Doors whose secrets are known, to be looked for in every answer."""

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self.browser = doors.browser()
        log_in(self.browser)
        given = doors.post("/token", grant_type=GRANTS[0], redirect_uri=CALLBACK, code=doors.code())
        tokens: Any = given.get_json()
        device: Any = doors.post("/devicecode", scope="openid").get_json()
        session = self.browser.get_cookie("af-iam-session-8080", domain="127.0.0.1")
        assert session is not None
        other = doors.provider.config.clients[1].secret()
        self.secrets = [doors.secret, other, session.value, device["device_code"]]
        self.secrets += [tokens[name] for name in ("access_token", "refresh_token", "id_token")]
        self.good = base64.b64encode(f"af-hub:{doors.secret}".encode()).decode()

    def check(self, answer: TestResponse) -> None:
        """See that an answer is an answer."""
        assert answer.status_code < 500, answer.text
        shown = f"{answer.headers}\n{answer.get_data().decode('utf-8', 'replace')}"
        for secret in self.secrets:
            assert secret not in shown
        for word in ("traceback (most", "sqlite", "site-packages", "authlib", "werkzeug"):
            assert word not in shown.lower()
        assert "<script>alert" not in shown


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    doors = Doors.open(tmp_path_factory.mktemp("doors"))
    yield Watched(doors)
    doors.close()


def token(**fields: str) -> Sent:
    return Sent("POST", "/token", form=tuple(fields.items()), authorization="GOOD")


@given(
    sent=st.builds(
        Sent,
        method=st.sampled_from(METHODS),
        path=st.one_of(st.sampled_from(MACHINE_PATHS), word.map(lambda text: "/" + quote(text))),
        query=form,
        form=form,
        content_type=st.sampled_from(
            ["application/x-www-form-urlencoded", "application/json", "multipart/form-data", "\xe9"]
        ),
        authorization=credentials,
    )
)
@example(token(grant_type="\u00e9"))
@example(token(grant_type=GRANTS[1], refresh_token="\u00e9"))
@example(token(grant_type=GRANTS[3], device_code="\u00e9"))
@example(replace(token(grant_type=GRANTS[1]), authorization="Basic \xe9"))
@example(replace(token(grant_type=GRANTS[1]), authorization="Basic /w=="))
@example(Sent("GET", "/userinfo", authorization="Bearer \xe9\xdf"))
@PATIENT
def test_machine_door_answers_whatever_comes(watched: Watched, sent: Sent) -> None:
    client = watched.doors.machine.test_client(use_cookies=False)
    good = f"Basic {watched.good}" if sent.authorization == "GOOD" else sent.authorization
    watched.check(sent.open(client, MACHINE_URL, Authorization=good))


@given(grant=st.sampled_from(GRANTS), fields=form)
@PATIENT
def test_every_grant_answers_whatever_comes(watched: Watched, grant: str, fields: Fields) -> None:
    body = urlencode([("grant_type", grant), *fields, ("token", "x")])
    for path in ("/token", "/revoke", "/introspect", "/devicecode"):
        with watched.doors.machine.test_client() as door:
            answer = door.post(
                path,
                base_url=MACHINE_URL,
                data=body,
                content_type="application/x-www-form-urlencoded",
                headers={"Authorization": f"Basic {watched.good}"},
            )
        watched.check(answer)


@given(
    sent=st.builds(
        Sent,
        method=st.sampled_from(METHODS),
        path=st.one_of(st.sampled_from(LOGIN_PATHS), word.map(lambda text: "/" + quote(text))),
        query=form,
        form=form,
        cookie=header,
        origin=header,
    ),
    known=st.booleans(),
)
@example(sent=Sent("GET", "/authorize", query=(("response_type", "\u00e9"),)), known=False)
@example(sent=Sent("GET", "/device", query=(("user_code", "\0"),)), known=True)
@example(
    sent=Sent("POST", "/login", form=(("form", "\u00e9"),), cookie="af-iam-form-8080=\xe9"),
    known=False,
)
@PATIENT
def test_login_door_answers_whatever_comes(watched: Watched, sent: Sent, *, known: bool) -> None:
    client = watched.doors.login.test_client(use_cookies=False)
    session = f"; af-iam-session-8080={watched.secrets[2]}" if known else ""
    path = "/login" if sent.path == "/logout" and known else sent.path  # it must go on living
    answer = replace(sent, path=path).open(client, LOGIN_URL, Cookie=sent.cookie + session)
    watched.check(answer)
    if answer.location:
        assert answer.location.startswith((CALLBACK, "/"))
        assert not answer.location.startswith(("//", "/\\"))


@given(changes=st.dictionaries(st.sampled_from(NAMES), value, max_size=6))
@example({"state": "\0\u00e9"})
@example({"scope": '"\u00e9'})
@example({"max_age": "9" * 5000})
@PATIENT
def test_authorization_answers_whatever_comes(watched: Watched, changes: dict[str, str]) -> None:
    for browser in (watched.browser, watched.doors.browser()):
        answer = browser.get(authorize(**changes), base_url=LOGIN_URL)
        watched.check(answer)
        assert (answer.location or CALLBACK).startswith(CALLBACK)


@pytest.mark.parametrize("path", ["/token", "/userinfo", "/introspect"])
def test_body_is_refused_when_it_is_too_large(watched: Watched, path: str) -> None:
    body = "token=" + "x" * 300_000
    answer = watched.doors.machine.test_client().post(
        path,
        base_url=MACHINE_URL,
        data=body,
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": f"Basic {watched.good}"},
    )
    assert answer.status_code in {401, 413}
