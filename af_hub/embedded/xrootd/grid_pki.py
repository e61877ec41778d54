"""Certificates of the grid kind: for the origin, and for the cache that calls it.

An authority of its own, as on the grid, where no web browser or token server has anything to do
with it. All keys are RSA: XRootD's GSI protocol signs its handshake with nothing else.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from af_hub.embedded.certificates import begin_certificate, is_issued_by, key_usage
from af_hub.embedded.files import write_atomically
from af_hub.embedded.xrootd.authority import slashed, write_authorities

if TYPE_CHECKING:
    from pathlib import Path

    from af_hub.embedded.layout import Layout

CA_LIFETIME = dt.timedelta(days=3650)
LIFETIME = dt.timedelta(days=397)
RENEW_BEFORE = dt.timedelta(days=30)
"""A certificate is replaced at the first start within this time before its end."""

NAMESPACE = "/DC=test/DC=af"
"""Where every name begins that the authority may sign."""

AUTHORITY = "Analysis facility grid authority"
ORIGIN = "localhost"
SERVICE = "xcache-service"

Signer = tuple[x509.Certificate, rsa.RSAPrivateKey]


@dataclass(frozen=True, slots=True)
class GridFiles:
    """Where the certificates lie.

    Parameters
    ----------
    folder
        Holds them all; closed to other users.
    """

    folder: Path

    @classmethod
    def of(cls, layout: Layout) -> GridFiles:
        """Return those of a facility."""
        return cls(layout.xrootd / "grid")

    @property
    def authority(self) -> Path:
        """Certificate of the authority; its key lies beside it as ``.key``."""
        return self.folder / "ca.pem"

    @property
    def host(self) -> Path:
        """Certificate of the origin; its key lies beside it as ``.key``."""
        return self.folder / "host.pem"

    @property
    def service(self) -> Path:
        """Certificate of the cache; its key lies beside it as ``.key``."""
        return self.folder / "service.pem"

    @property
    def proxy(self) -> Path:
        """The cache's proxy: certificate, key and chain in one file."""
        return self.folder / "proxy.pem"

    @property
    def trusted(self) -> Path:
        """Folder with this authority only: whom origin and cache believe."""
        return self.folder / "trusted"


def service_name() -> str:
    """Return the name by which the origin knows the cache."""
    return slashed(_name(SERVICE))


def ensure_grid_pki(files: GridFiles, *, now: dt.datetime | None = None) -> x509.Certificate:
    """Make or renew authority and certificates; do nothing while all are good.

    Parameters
    ----------
    files
        Where they lie.
    now
        The time, for tests.

    Returns
    -------
    cryptography.x509.Certificate
        The authority.
    """
    now = now or dt.datetime.now(dt.UTC)
    files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = _load(files.authority, now)
    if authority is None:
        authority = _make_authority(now)
        _store(files.authority, authority)
    for path, common_name in ((files.host, ORIGIN), (files.service, SERVICE)):
        known = _load(path, now)
        if known is None or not is_issued_by(known[0], authority[0]):
            _store(path, sign(authority, common_name, now))
    write_authorities(files.trusted, {authority[0]: f"{NAMESPACE}/*"})
    return authority[0]


def sign(authority: Signer, common_name: str, now: dt.datetime) -> Signer:
    """Return a certificate and its key, good for both ends of a connection.

    Parameters
    ----------
    authority
        Who signs.
    common_name
        Last part of the name; ``localhost`` is also written where TLS looks for it.
    now
        The time.
    """
    issuer, issuer_key = authority
    key = new_key()
    builder = (
        begin_certificate(_name(common_name), issuer.subject, key, now, LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(sign_certificates=False, exchange_keys=True), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if common_name == ORIGIN:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(ORIGIN)]), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256()), key


def load_authority(files: GridFiles) -> Signer:
    """Return the authority's certificate and key."""
    return read_pair(files.authority)


def _make_authority(now: dt.datetime) -> Signer:
    key = new_key()
    name = _name(AUTHORITY)
    certificate = (
        begin_certificate(name, name, key, now, CA_LIFETIME)
        # one more below a certificate: its proxies
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage(sign_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _name(common_name: str) -> x509.Name:
    parts = [part.partition("=") for part in NAMESPACE.strip("/").split("/")]
    return x509.Name(
        [
            *(x509.NameAttribute(NameOID.DOMAIN_COMPONENT, value) for _, _, value in parts),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def new_key() -> rsa.RSAPrivateKey:
    """Return a new key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(certificate: x509.Certificate) -> str:
    """Return a certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: rsa.RSAPrivateKey) -> str:
    """Return a key as text, in the form that XRootD reads in a proxy's file."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def key_of(certificate: Path) -> Path:
    """Return where the key of a certificate lies."""
    return certificate.with_suffix(".key")


def _store(path: Path, pair: Signer) -> None:
    # XRootD refuses keys that anybody but the owner may read
    write_atomically(key_of(path), key_pem(pair[1]), mode=0o400)
    write_atomically(path, pem(pair[0]), mode=0o644)


def _load(path: Path, now: dt.datetime) -> Signer | None:
    """Return what lies there; None if it is missing, ends soon, or the two do not fit."""
    try:
        certificate, key = read_pair(path)
    except (OSError, ValueError):
        return None
    fits = certificate.public_key() == key.public_key()
    return (
        (certificate, key)
        if fits and certificate.not_valid_after_utc - now > RENEW_BEFORE
        else None
    )


def read_pair(path: Path) -> Signer:
    """Return a certificate and its key.

    Raises
    ------
    OSError
        One of the two is missing.
    ValueError
        One of the two is damaged.
    """
    key = serialization.load_pem_private_key(key_of(path).read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"{key_of(path)} is no RSA key")  # noqa: TRY004  as for any damaged file
    return x509.load_pem_x509_certificate(path.read_bytes()), key
