"""The facility's own certificate authority: https on one machine without any set-up.

The authority signs one server certificate for this machine's loopback names. Clients get a
bundle of the system's authorities and ours, so that real sites stay reachable as well. Nothing
is installed into the system or a browser: browsers meet only plain http on loopback.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from af_hub.embedded.certificates import begin_certificate, is_issued_by, key_usage
from af_hub.embedded.files import write_atomically

if TYPE_CHECKING:
    from af_hub.embedded.layout import Layout

CA_LIFETIME = dt.timedelta(days=3650)
SERVER_LIFETIME = dt.timedelta(days=397)
RENEW_BEFORE = dt.timedelta(days=30)
"""A certificate is replaced at the first start within this time before its end."""

_NAMES = ("localhost",)
_ADDRESSES = ("127.0.0.1", "::1")


def ensure_pki(layout: Layout, *, now: dt.datetime | None = None) -> None:
    """Make or renew authority, server certificate and bundle; do nothing while all are good.

    Parameters
    ----------
    layout
        Where the files lie; the folder exists.
    now
        The time, for tests.
    """
    now = now or dt.datetime.now(dt.UTC)
    authority = _load(layout.ca_certificate, layout.ca_key)
    if authority is None or _ends_soon(authority[0], now):
        authority = _make_authority(now)
        _store(layout.ca_certificate, layout.ca_key, *authority)
    server = _load(layout.server_certificate, layout.server_key)
    if server is None or not is_issued_by(server[0], authority[0]) or _ends_soon(server[0], now):
        _store(layout.server_certificate, layout.server_key, *_make_server(authority, now))
    # always: the system's authorities change with its updates
    ours = authority[0].public_bytes(serialization.Encoding.PEM).decode()
    write_atomically(layout.ca_bundle, f"{_system_authorities().rstrip()}\n{ours}")


def _make_authority(now: dt.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Analysis facility on this machine")])
    certificate = (
        begin_certificate(name, name, key, now, CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(sign_certificates=True), critical=True)
        # should the key ever leak, it can vouch for nothing but loopback
        .add_extension(
            x509.NameConstraints(
                [
                    *(x509.DNSName(host) for host in _NAMES),
                    *(x509.IPAddress(ipaddress.ip_network(a)) for a in _ADDRESSES),
                ],
                None,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _make_server(
    authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey], now: dt.datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    issuer, issuer_key = authority
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    alternatives = [
        *(x509.DNSName(host) for host in _NAMES),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES),
    ]
    certificate = (
        begin_certificate(name, issuer.subject, key, now, SERVER_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate, key


def _ends_soon(certificate: x509.Certificate, now: dt.datetime) -> bool:
    return certificate.not_valid_after_utc - now < RENEW_BEFORE


def _store(
    certificate_path: Path,
    key_path: Path,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
) -> None:
    write_atomically(
        key_path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )
    write_atomically(
        certificate_path, certificate.public_bytes(serialization.Encoding.PEM).decode()
    )


def _load(
    certificate_path: Path, key_path: Path
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
    """Return certificate and key, or None if one is missing or they do not belong together.

    A crash between writing the two leaves a pair that does not match: it is made again.
    """
    if not (certificate_path.exists() and key_path.exists()):
        return None
    certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    return (certificate, key) if certificate.public_key() == key.public_key() else None


def _system_authorities() -> str:
    """Return the system's bundle, certifi's where the system has none, or nothing."""
    paths = ssl.get_default_verify_paths()
    candidates = [
        os.environ.get(paths.openssl_cafile_env, ""),
        paths.cafile or "",
        paths.openssl_cafile,
        "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu
        "/etc/pki/tls/certs/ca-bundle.crt",  # Alma, Fedora
    ]
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return Path(candidate).read_text(encoding="utf-8")
    try:
        import certifi  # noqa: PLC0415  optional, only where the system has no bundle
    except ImportError:
        return ""
    return certifi.contents()
