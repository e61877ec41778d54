"""An OpenID Connect provider that misbehaves as a test wants, over https in a thread.

The development IAM refuses to make most of what a relying party must refuse; this one signs and
answers anything. Whoever comes to its ``/authorize`` is logged in as alice, without a page.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
import uuid
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import Callable

    from af_hub.embedded.layout import Layout

CLIENT = ("af-hub", "planted-client-secret")
AUDIENCE = "https://storage.example"
LIFETIME = 200
"""Seconds of access tokens: below the authenticator's leeway, so that each use is a refresh."""


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """Return a key that is always the same for a name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def curve_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return a key on P-256 that is always the same for a name."""
    return ec.generate_private_key(ec.SECP256R1())


def public(kid: str | None, key: Any) -> dict[str, Any]:
    """Return the entry of a key set."""
    kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    entry: dict[str, Any] = json.loads(kind.to_jwk(key.public_key()))
    entry.pop("key_ops", None)
    return entry | ({"kid": kid} if kid else {})


def signed(
    claims: dict[str, Any], key: Any = None, *, kid: str | None = "first", alg: str = "RS256"
) -> str:
    """Sign anything; `kid` None leaves the header's out."""
    return jwt.api_jws.encode(
        json.dumps(claims).encode(),
        key if key is not None else rsa_key("first"),
        algorithm=alg,
        headers={"kid": kid} if kid else {},
    )


def unsigned(claims: dict[str, Any]) -> str:
    """Return a token with ``alg`` none."""
    parts = [{"alg": "none", "kid": "first"}, claims]
    return (
        ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
            for part in parts
        )
        + "."
    )


@dataclass
class Behaviour:
    """What is wrong; nothing is by default. A claim that is None is left out."""

    id_claims: dict[str, Any] = field(default_factory=dict)
    refresh_claims: dict[str, Any] = field(default_factory=dict)
    finish: Callable[[dict[str, Any], dict[str, Any]], None] | None = None
    """Changes claims, knowing the token answer."""
    sign: Callable[[dict[str, Any]], str] = signed
    keys: list[dict[str, Any]] = field(
        default_factory=lambda: [public("first", rsa_key("first")), public("c", curve_key("c"))]
    )
    discovery: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    userinfo_signed: Callable[[dict[str, Any]], str] | None = None
    userinfo_body_only: bool = False
    callback: dict[str, str] = field(default_factory=dict)
    away: bool = False
    """Answer 503 to everything."""
    before_token: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Request:
    """What the provider was asked."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    authorization: str


class OidcProvider:
    """The provider.

    Parameters
    ----------
    layout
        Where the certificates lie.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.behaviour = Behaviour()
        self.requests: list[Request] = []
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                self._answer(dict(parse_qsl(body)))

            def _answer(self, form: dict[str, str]) -> None:
                parts = urlsplit(self.path)
                request = Request(
                    self.command,
                    parts.path,
                    dict(parse_qsl(parts.query)),
                    form,
                    self.headers["Authorization"] or "",
                )
                provider.requests.append(request)
                status, headers, body = provider.answer(request)
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(layout.server_certificate, layout.server_key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self) -> Behaviour:
        """Behave well again, with nothing remembered."""
        self.behaviour = Behaviour()
        self.requests.clear()
        self._codes.clear()
        return self.behaviour

    def asked(self, path: str) -> list[Request]:
        """Return the requests for a path."""
        return [request for request in self.requests if request.path == path]

    def stop(self) -> None:
        """Stop answering."""
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body."""
        if self.behaviour.away:
            return 503, {}, b""
        if request.path == "/authorize":
            return self._authorize(request.query)
        if request.path == "/userinfo" and self.behaviour.userinfo_signed:
            text = self.behaviour.userinfo_signed(self._userinfo())
            return 200, {"Content-Type": "application/jwt"}, text.encode()
        status, document = self._document(request)
        return status, {"Content-Type": "application/json"}, json.dumps(document).encode()

    def _authorize(self, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        code = uuid.uuid4().hex
        self._codes[code] = query
        back = {"code": code, "state": query["state"]} | self.behaviour.callback
        return 303, {"Location": f"{query['redirect_uri']}?{urlencode(back)}"}, b""

    def _document(self, request: Request) -> tuple[int, dict[str, Any]]:
        behaviour = self.behaviour
        if request.path == "/.well-known/openid-configuration":
            good = {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}authorize",
                "token_endpoint": f"{self.url}token",
                "userinfo_endpoint": f"{self.url}userinfo",
                "jwks_uri": f"{self.url}jwk",
            }
            return 200, _changed(good, behaviour.discovery)
        if request.path == "/jwk":
            return 200, {"keys": behaviour.keys}
        if request.path == "/userinfo":
            by_header = request.authorization.startswith("Bearer ")
            if behaviour.userinfo_body_only or not by_header:
                return 401, {"error": "invalid_request"}
            return 200, self._userinfo()
        if request.path == "/token":
            behaviour.before_token()
            return 200, self._tokens(request.form)
        return 404, {}

    def _userinfo(self) -> dict[str, Any]:
        return _changed({"sub": "sub-alice", "name": "Alice"}, self.behaviour.userinfo)

    def _tokens(self, form: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "access_token": uuid.uuid4().hex,
            "token_type": "Bearer",
            "expires_in": LIFETIME,
        }
        if form["grant_type"].endswith("token-exchange"):
            return answer | {"scope": form["scope"]}
        behaviour = self.behaviour
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "sub-alice",
            "aud": CLIENT[0],
            "iat": now,
            "exp": now + 600,
            "preferred_username": "alice",
            "groups": ["cms"],
        }
        if form["grant_type"] == "authorization_code":
            claims |= {"nonce": self._codes.pop(form["code"])["nonce"]}
            claims = _changed(claims, behaviour.id_claims)
        else:
            claims = _changed(claims, behaviour.refresh_claims)
        if behaviour.finish:
            behaviour.finish(claims, answer | form)
        answer["id_token"] = behaviour.sign(claims)
        return _changed(answer | {"refresh_token": uuid.uuid4().hex}, behaviour.answer)


def _changed(good: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (good | changes).items() if value is not None}
