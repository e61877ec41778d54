"""The real storage server in a process of its own, and an issuer that signs whatever a test wants.

The development IAM refuses to make most of the tokens that storage must refuse, so these come from
an issuer of the tests' own: discovery and keys over https, as any issuer has them.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from af_hub.embedded.layout import Layout
from af_hub.embedded.pki import ensure_pki
from af_hub.embedded.storage.serve import StorageConfig
from testbed.iam import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = bytes(range(256)) * 40
"""What every file of the test store holds."""

CURVE_KID = "curve"
"""Name of the issuer's key for ES256; those for RS256 change."""


class Issuer:
    """Signs tokens and publishes its keys over https on a loopback port.

    Parameters
    ----------
    layout
        Where the certificates lie.
    """

    def __init__(self, layout: Layout) -> None:
        self.fetches = 0
        self._keys: dict[str, rsa.RSAPrivateKey] = {}
        self._curve_key = ec.generate_private_key(ec.SECP256R1())
        self.rotate()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                body = json.dumps(issuer.document(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
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

    def document(self, path: str) -> dict[str, Any]:
        """Return what is published at `path`."""
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}jwk"}
        keys = []
        for kid, key in self._keys.items():
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
            keys.append({"kid": kid, "kty": "RSA", "n": public["n"], "e": public["e"]})
        curve = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._curve_key.public_key()))
        keys.append({"kid": CURVE_KID, "alg": "ES256", **curve})
        return {"keys": keys}

    def rotate(self) -> None:
        """Take a new key; the old ones stay published."""
        self.kid = uuid.uuid4().hex
        self._keys[self.kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token(
        self,
        scope: str = "storage.read:/store/cms",
        *,
        key: Any = None,
        kid: str | None = None,
        algorithm: str = "RS256",
        drop: tuple[str, ...] = (),
        **claims: Any,
    ) -> str:
        """Return a signed token; claims that are given replace the good ones.

        `algorithm` ``ES256`` takes the issuer's other key.
        """
        now = time.time()
        payload = {
            "iss": self.url.rstrip("/"),
            "sub": "0d4c9c3e-alice",
            "aud": "https://storage.example",
            "iat": now,
            "nbf": now - 60,
            "exp": now + 600,
            "jti": uuid.uuid4().hex,
            "wlcg.ver": "1.0",
            "scope": scope,
        } | claims
        for name in drop:
            del payload[name]
        curve = algorithm == "ES256"
        return jwt.encode(
            payload,
            key or (self._curve_key if curve else self._keys[self.kid]),
            algorithm=algorithm,
            headers={"kid": kid or (CURVE_KID if curve else self.kid)},
        )


@dataclass
class Reply:
    """An HTTP answer."""

    status: int
    reason: str
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@dataclass
class Storage:
    """A running storage server."""

    layout: Layout
    config: StorageConfig
    issuer: Issuer
    sent: list[str] = field(default_factory=list)
    """Every token that was ever sent, to be searched for in the log."""

    @property
    def root(self) -> Path:
        """The folder that is shown as ``/store``."""
        return self.config.root

    @property
    def log(self) -> str:
        """Everything that the process has written."""
        return self.layout.log("storage").read_text(encoding="utf-8")

    def send(
        self,
        method: str,
        path: str,
        token: str | None = None,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send one request with the path exactly as it is given."""
        context = ssl.create_default_context(cafile=str(self.layout.ca_certificate))
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.config.port, timeout=20, context=context
        )
        headers = dict(headers or {})
        if token is not None:
            self.sent.append(token)
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.reason, answer.headers, answer.read())
        finally:
            connection.close()

    def break_off(self, path: str, token: str) -> None:
        """Begin an upload of 1000 bytes, send three, and hang up."""
        context = ssl.create_default_context(cafile=str(self.layout.ca_certificate))
        self.sent.append(token)
        with (
            socket.create_connection(("127.0.0.1", self.config.port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as line,
        ):
            line.sendall(
                f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.config.port}\r\n"
                f"Authorization: Bearer {token}\r\nContent-Length: 1000\r\n\r\nnew".encode()
            )


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """Start a storage server with a few files in /store/cms, /store/cmsx and /store/atlas."""
    layout = Layout(tmp_path_factory.mktemp("storage"))
    layout.create()
    ensure_pki(layout)
    for name in ("cms/a.root", "cms/deep/b.root", "cmsx/c.root", "atlas/d.root", "open/e.root"):
        path = layout.store / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
    issuer = Issuer(layout)
    (port,) = free_ports(1)
    config = StorageConfig(
        root=layout.store,
        host="127.0.0.1",
        port=port,
        certificate=layout.server_certificate,
        key=layout.server_key,
        issuer=issuer.url,
        token_issuer=issuer.url.rstrip("/"),
        audience="https://storage.example",
        ca_file=layout.ca_bundle,
    )
    path = layout.storage / "config.json"
    path.write_text(config.model_dump_json())
    with layout.log("storage").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "af_hub.embedded.storage", "--config", str(path)],
            stdout=log,
            stderr=log,
        )
    running = Storage(layout, config, issuer)
    deadline = time.monotonic() + 30
    while True:
        try:
            running.send("GET", "/store")
        except OSError:
            assert process.poll() is None, running.log
            assert time.monotonic() < deadline, running.log
            time.sleep(0.05)
        else:
            break
    yield running
    process.terminate()
    assert process.wait(60) == 0, running.log
    issuer.server.shutdown()
    issuer.server.server_close()
