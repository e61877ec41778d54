"""A WebDAV door with tokens: WsgiDAV on cheroot with https, for tests of those who read from it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import threading
import uuid
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

GOOD = "eyJ.planted-good-token.abc"
"""A token that the door takes until a test says otherwise."""


@dataclass
class WebDAVDoor:
    """A running door.

    ``accepted`` (``None``: no token) and ``redirect_to`` may be changed at any time; ``requests`` tells what came in: method, path, token.
    """

    url: str
    ca_file: Path
    store: Path
    accepted: set[str | None] = field(default_factory=lambda: {GOOD})
    redirect_to: str | None = None
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)


def _authority_and_server(folder: Path) -> tuple[Path, Path]:
    """Make one self-signed certificate that is its own authority; return certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"door {uuid.uuid4()}")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "server.pem", folder / "server.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file


class _TokenCheck:
    """WSGI middleware: the right token or 401."""

    def __init__(self, inner: Any, door: WebDAVDoor) -> None:
        self._inner, self._door = inner, door

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        sent = token if scheme == "Bearer" else None
        self._door.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], sent))
        if sent not in self._door.accepted:
            start_response("401 Unauthorized", [("WWW-Authenticate", "Bearer")])
            return [b"no"]
        if self._door.redirect_to is not None:
            start_response("302 Found", [("Location", self._door.redirect_to)])
            return [b""]
        return self._inner(environ, start_response)  # type: ignore[no-any-return]


@contextmanager
def running_door(folder: Path) -> Iterator[WebDAVDoor]:
    """Serve ``folder/store`` under ``https://127.0.0.1:PORT/store``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cheroot import wsgi
        from cheroot.ssl.builtin import BuiltinSSLAdapter
        from wsgidav.wsgidav_app import WsgiDAVApp

    store = folder / "store"
    store.mkdir(exist_ok=True)
    certificate, key = _authority_and_server(folder)
    app = WsgiDAVApp(
        {
            "provider_mapping": {"/store": str(store)},
            "simple_dc": {"user_mapping": {"*": True}},
            "http_authenticator": {"domain_controller": None},
            "lock_storage": True,
            "property_manager": None,
            "verbose": 0,
            "logging": {"enable": False},
            "dir_browser": {"enable": False},
        }
    )
    door = WebDAVDoor("", certificate, store)
    server = wsgi.Server(("127.0.0.1", 0), _TokenCheck(app, door), numthreads=8)
    server.ssl_adapter = BuiltinSSLAdapter(str(certificate), str(key))
    server.prepare()
    door.url = f"https://127.0.0.1:{server.bind_addr[1]}/store"
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield door
    finally:
        server.stop()
        thread.join(10)


@pytest.fixture
def webdav_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDAVDoor]:
    """Start an empty WebDAV door that wants a token."""
    with running_door(tmp_path_factory.mktemp("webdav")) as door:
        yield door
