"""The cache's proxy certificate (RFC 3820): GSI clients of XRootD present nothing else."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from af_hub.embedded.certificates import BACKDATED, key_usage
from af_hub.embedded.files import write_atomically
from af_hub.embedded.xrootd.grid_pki import key_pem, new_key, pem, read_pair

if TYPE_CHECKING:
    from af_hub.embedded.xrootd.grid_pki import GridFiles

PROXY_LIFETIME = dt.timedelta(hours=48)
"""Life of the cache's proxy certificate."""

PROXY_RENEWAL = dt.timedelta(hours=12)
"""Time between two of them: a machine may sleep for a day and a half."""

_PROXY_CERT_INFO = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.14")
_INHERIT_ALL = bytes.fromhex("300c300a06082b06010505071501")
"""RFC 3820, 3.8: no limit of the path, policy language id-ppl-inheritAll."""


def renew_proxy(files: GridFiles, *, lifetime: dt.timedelta = PROXY_LIFETIME) -> None:
    """Write a new proxy certificate for the cache (RFC 3820).

    Parameters
    ----------
    files
        Where the service's certificate lies and the proxy goes.
    lifetime
        Until it ends.
    """
    service, service_key = read_pair(files.service)
    key = new_key()
    now = dt.datetime.now(dt.UTC)
    serial = x509.random_serial_number()
    proxy = (
        x509.CertificateBuilder()
        # RFC 3820, 3.4: the issuer's name and one more common name, unique among its proxies
        .subject_name(
            x509.Name([*service.subject, x509.NameAttribute(NameOID.COMMON_NAME, str(serial))])
        )
        .issuer_name(service.subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(max(now - BACKDATED, service.not_valid_before_utc))
        .not_valid_after(min(now + lifetime, service.not_valid_after_utc))
        .add_extension(
            x509.UnrecognizedExtension(_PROXY_CERT_INFO, _INHERIT_ALL),
            critical=True,
        )
        .add_extension(key_usage(sign_certificates=False, exchange_keys=True), critical=True)
        .sign(service_key, hashes.SHA256())
    )
    text = (pem(proxy), key_pem(key), pem(service))
    write_atomically(files.proxy, "".join(text), mode=0o400)
