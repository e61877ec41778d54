"""A real development IAM in a process of its own, and a browser without JavaScript.

It behaves as the real IAM does, until a test switches something; the process reads the switches
at each call, so a switch holds as soon as the call that sets it returns, and survives a restart
of the IAM. Every IAM that `start_iam` starts can be switched. In the shared fixture ``iam`` (and
in ``iam_hub.iam``) switch only by ``with``, so that the next test finds the real behaviour::

    with iam.switched(revoke_family_on_reuse=True):          # as other providers do
    with iam.switched(skew_seconds=600):                     # the IAM's clock; +3600 ages tokens
    with iam.switched(signing_key=1):                        # rotated: only the new key published
    with iam.switched(signing_key=1, published_keys=(0, 1)): # rotated, both published
    with iam.switched(id_token={"iss": "https://evil/", "nonce": None}):  # None: claim is left out
    with iam.switched(algorithm="none"): ...                 # of ID tokens; ES256, HS256 (by secret)
    with iam.failing("token", times=1):                      # one 503
    with iam.failing("token", "lost", grant="refresh_token", times=1):  # done, answer never comes
    with iam.failing("any", percent=5):                      # 5 % of all calls, same draw each run
    with iam.switched(Fault(at="jwk", kind="hang"), Fault(at="userinfo", kind="slow", seconds=2)):

`IAM.switch` (same arguments) sets until the next `IAM.switch`; without arguments it sets the real
behaviour again. Every change begins the faults' counts (``times``, ``skip``, ``percent``) anew, and
sets all that is not named back to the real behaviour: switches do not add up.

What there is, is in `af_hub.embedded.iam.switches`. `Switches`: ``faults``, ``skew_seconds``,
``revoke_family_on_reuse``, ``standard_errors`` (400 invalid_grant), ``id_token_on_refresh``,
``refused_audiences`` (400 invalid_target), ``signing_key``, ``published_keys``, ``algorithm``,
``spoil_signature``, ``id_token_header``, and changes to ``id_token``, ``access_token``,
``userinfo``, ``discovery``, ``token_answer``. `Fault`: ``at`` (any, discovery, jwk, token,
userinfo, revoke, introspect, devicecode, authorize, device), ``kind`` (status, slow, hang, drop,
lost, cut, garbage, echo), ``grant``, ``times``, ``skip``, ``percent``, ``status``, ``retry_after``,
``seconds``, ``body``, ``repeat``, ``content_type``, ``error``.

`IAM.calls` returns the calls that came since `IAM.forget_calls` (endpoint, grant type, status or
0 for no answer, fault, time): ``len(iam.calls("token", grant="refresh_token"))``.

What belongs to accounts is no switch, it is in the store (`IAM.people`): groups, ``active``, the
acceptable use policy (``set_policy(text)``, ``sign_policy(sub)``). Rotation, clearing, profile and
lifetimes are the client's: arguments of `start_iam`, which also takes ``more_clients`` and
``include_authn_info``; `IAM.acting_as` gives a view of the same IAM for another client.
"""

from __future__ import annotations

import base64
import hashlib
import http.cookiejar
import json
import re
import secrets
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest

from af_hub.embedded.files import write_atomically
from af_hub.embedded.iam.config import ClientConfig, IAMConfig
from af_hub.embedded.iam.people import DEMO_PASSWORD
from af_hub.embedded.iam.store import Store
from af_hub.embedded.iam.switches import Fault, Switches
from af_hub.embedded.layout import Layout
from af_hub.embedded.pki import ensure_pki

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import Message
    from pathlib import Path

LOGIN_SCOPE = (
    "openid profile email offline_access wlcg.groups "
    "storage.read:/store/cms storage.read:/store/atlas storage.read:/store/open"
)
CALLBACK = "http://127.0.0.1:9/hub/oauth_callback"
"""Redirect URI of logins in which no hub takes part; port 9 (discard) is never opened."""


_PORTS = range(20_000, 32_000)
_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Return free ports of 127.0.0.1, each once in a test run.

    They lie below those that Linux gives to outgoing connections: one of these could be taken again
    before the server comes that it is meant for.
    """
    found: list[int] = []
    while len(found) < count:
        port = _PORTS[secrets.randbelow(len(_PORTS))]
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                found.append(port)
    return found


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Message
    text: str
    url: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)

    @property
    def location(self) -> str:
        """Where a redirect leads, absolute."""
        return urljoin(self.url, str(self.headers["Location"] or ""))


@lru_cache(maxsize=32)
def _context(ca: str, _changed: int) -> ssl.SSLContext:
    """Read the authorities once: it takes longer than most requests."""
    return ssl.create_default_context(cafile=ca or None)


class Browser:
    """Cookies and single steps; redirects are followed only on request."""

    def __init__(self, ca: Path | None = None) -> None:
        self.jar = http.cookiejar.CookieJar()
        context = _context(str(ca), ca.stat().st_mtime_ns) if ca else _context("", 0)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(self.jar),
            urllib.request.HTTPSHandler(context=context),
            _NoRedirect(),
        )

    def send(
        self,
        url: str,
        form: dict[str, str] | None = None,
        *,
        headers: dict[str, str] | None = None,
        method: str | None = None,
    ) -> Answer:
        """Make one request; no redirect is followed, no status raises."""
        body = None if form is None else urlencode(form).encode()
        request = urllib.request.Request(url, body, headers or {}, method=method)
        try:
            with self._opener.open(request, timeout=20) as answer:
                return Answer(
                    answer.status, answer.headers, answer.read().decode("utf-8", "replace"), url
                )
        except urllib.error.HTTPError as error:
            with error:
                return Answer(
                    error.code, error.headers, error.read().decode("utf-8", "replace"), url
                )

    def follow(self, answer: Answer, *, until: str = "\0", limit: int = 12) -> Answer:
        """Follow redirects until an address starts with `until` or a page comes."""
        for _ in range(limit):
            if not 300 <= answer.status < 400 or answer.location.startswith(until):
                return answer
            answer = self.send(answer.location)
        raise AssertionError(f"more than {limit} redirects, last to {answer.location}")

    def log_in(self, page: Answer, username: str, password: str = DEMO_PASSWORD) -> Answer:
        """Fill in the login page of the development IAM; returns the answer to the form."""
        token = re.search(r'name="form" value="([^"]+)"', page.text)
        assert token, page.text[:500]
        return self.send(page.url, {"form": token[1], "username": username, "password": password})

    def press(self, page: Answer, button: str) -> Answer:
        """Press a button of a page of the development IAM that asks for a yes."""
        token = re.search(r'name="form" value="([^"]+)"', page.text)
        assert token, page.text[:500]
        return self.send(page.url, {"form": token[1], "button": button})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True)
class Call:
    """A call that the IAM got; status 0 means that it gave no answer."""

    at: str
    grant: str
    status: int
    fault: str
    time: float


@dataclass
class IAM:
    """A development IAM and what tests need to talk to it."""

    layout: Layout
    config: IAMConfig
    process: subprocess.Popen[bytes]
    secret: str = field(repr=False)
    client_number: int = 0

    @property
    def issuer(self) -> str:
        """Issuer with its slash."""
        return self.config.issuer

    @property
    def client(self) -> ClientConfig:
        """The client that the methods speak for: the hub's, unless `acting_as` said otherwise."""
        return self.config.clients[self.client_number]

    def acting_as(self, client_id: str) -> IAM:
        """Return a view of this IAM for another client of it; start and stop the original."""
        names = [client.client_id for client in self.config.clients]
        return replace(self, client_number=names.index(client_id))

    def switch(self, *faults: Fault, **switches: Any) -> None:
        """Set the switches, all others to the real behaviour; see the module's docstring."""
        wanted = Switches(serial=secrets.randbits(48), faults=faults, **switches)
        assert self.config.control is not None
        write_atomically(self.config.control / "switches.json", wanted.model_dump_json())

    @contextmanager
    def switched(self, *faults: Fault, **switches: Any) -> Iterator[None]:
        """Set switches for the time of the ``with`` block."""
        self.switch(*faults, **switches)
        try:
            yield
        finally:
            self.switch()

    @contextmanager
    def failing(self, at: str, kind: str = "status", **more: Any) -> Iterator[None]:
        """Let one endpoint fail for the time of the ``with`` block; arguments as of `Fault`."""
        with self.switched(Fault.model_validate({"at": at, "kind": kind} | more)):
            yield

    def calls(self, at: str = "", *, grant: str = "") -> list[Call]:
        """Return the calls since `forget_calls`, of one endpoint or grant type if given."""
        assert self.config.control is not None
        path = self.config.control / "calls.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        calls = [Call(**json.loads(line)) for line in lines]
        return [call for call in calls if at in {"", call.at} and grant in {"", call.grant}]

    def forget_calls(self) -> None:
        """Begin counting anew."""
        assert self.config.control is not None
        (self.config.control / "calls.jsonl").unlink(missing_ok=True)

    @property
    def log(self) -> str:
        """Everything that the process has written."""
        return self.layout.log("iam").read_text(encoding="utf-8")

    def browser(self) -> Browser:
        """Return a browser that has never been here."""
        return Browser(self.layout.ca_bundle)

    def post(self, path: str, **form: str) -> Answer:
        """Post a form to the machine door, authenticated as the hub's client."""
        basic = base64.b64encode(f"{self.client.client_id}:{self.secret}".encode()).decode()
        return self.browser().send(
            self.issuer + path, form, headers={"Authorization": f"Basic {basic}"}
        )

    def code(
        self, username: str, scope: str = LOGIN_SCOPE, *, callback: str = CALLBACK, **more: str
    ) -> tuple[str, str]:
        """Log in as a browser would; returns code and PKCE verifier."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": callback,
            "scope": scope,
            "state": "s",
            "nonce": "n-0S6_WzA2Mj",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        } | more
        browser = self.browser()
        page = browser.send(f"{self.config.login_url}authorize?{urlencode(query)}")
        answer = browser.follow(browser.log_in(page, username), until=callback)
        return parse_qs(urlsplit(answer.location).query)["code"][0], verifier

    def log_in(
        self, username: str, scope: str = LOGIN_SCOPE, *, callback: str = CALLBACK, **more: str
    ) -> dict[str, Any]:
        """Return the token answer of a complete login."""
        code, verifier = self.code(username, scope, callback=callback, **more)
        answer = self.post(
            "token",
            grant_type="authorization_code",
            code=code,
            redirect_uri=callback,
            code_verifier=verifier,
        )
        assert answer.status == 200, answer.text
        tokens: dict[str, Any] = answer.json
        return tokens

    def refresh(self, token: str, **more: str) -> Answer:
        """Refresh by a refresh token."""
        return self.post("token", grant_type="refresh_token", refresh_token=token, **more)

    def userinfo(self, token: str) -> Answer:
        """Ask who an access token belongs to."""
        headers = {"Authorization": f"Bearer {token}"}
        return self.browser().send(f"{self.issuer}userinfo", headers=headers)

    def is_active(self, token: str) -> bool:
        """Tell what introspection says of a token."""
        return bool(self.post("introspect", token=token).json["active"])

    def exchange(self, token: str, scope: str, **more: str) -> Answer:
        """Exchange an access token for a narrower one."""
        return self.post(
            "token",
            grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
            subject_token=token,
            subject_token_type="urn:ietf:params:oauth:token-type:access_token",
            scope=scope,
            **more,
        )

    def people(self) -> Store:
        """Open the accounts, to change groups or disable somebody while it runs."""
        return Store(self.config.data / "iam.sqlite")

    def stop(self) -> None:
        """Stop the process."""
        self.process.terminate()
        assert self.process.wait(60) == 0

    def start(self) -> None:
        """Start it (again) on the same state and ports."""
        path = self.layout.iam / "config.json"
        write_atomically(path, self.config.model_dump_json())
        program = [sys.executable, "-m", "af_hub.embedded.iam", "--config", str(path)]
        with self.layout.log("iam").open("ab") as log:
            self.process = subprocess.Popen(
                # a killed test run leaves no server behind
                ["setpriv", "--pdeathsig=TERM", *program],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 90
        while True:
            try:
                self.browser().send(f"{self.issuer}.well-known/openid-configuration")
                self.browser().send(self.config.login_url)
            except urllib.error.URLError:
                assert self.process.poll() is None, self.log
                assert time.monotonic() < deadline, self.log
                time.sleep(0.05)
            else:
                return


def start_iam(
    root: Path,
    *,
    callbacks: tuple[str, ...] = (),
    more_clients: Mapping[str, dict[str, Any]] | None = None,
    include_authn_info: bool = False,
    switchable: bool = True,
    **client: Any,
) -> IAM:
    """Start a development IAM with its state below `root`; the caller stops it.

    Parameters
    ----------
    root
        Folder for everything; made if absent.
    callbacks
        Redirect URIs of all clients, beside `CALLBACK`.
    more_clients
        Name and settings of clients beside the hub's; they have its secret.
    include_authn_info
        Whether access tokens of profile ``iam`` name the person.
    switchable
        False: as in a facility, without the folder of the switches.
    client
        Settings of the hub's client (`ClientConfig`).
    """
    layout = Layout(root)
    layout.create()
    ensure_pki(layout)
    secret = secrets.token_hex(32)
    write_atomically(layout.secret("hub-client-secret"), secret)
    https_port, login_port = free_ports(2)
    control = layout.root / "switches"
    control.mkdir(mode=0o700, exist_ok=True)
    config = IAMConfig(
        https_port=https_port,
        login_port=login_port,
        certificate=layout.server_certificate,
        key=layout.server_key,
        data=layout.iam,
        clients=tuple(
            ClientConfig(
                client_id=name,
                secret_file=layout.secret("hub-client-secret"),
                redirect_uris=(CALLBACK, *callbacks),
                **settings,
            )
            for name, settings in ({"af-hub": client} | dict(more_clients or {})).items()
        ),
        include_authn_info=include_authn_info,
        control=control if switchable else None,
    )
    never = subprocess.Popen([sys.executable, "-c", ""])
    never.wait()
    iam = IAM(layout, config, never, secret)
    iam.start()
    return iam


@pytest.fixture(scope="session")
def iam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IAM]:
    """Give a development IAM that all tests share; change nobody's groups in it."""
    running = start_iam(tmp_path_factory.mktemp("iam"))
    yield running
    running.stop()
