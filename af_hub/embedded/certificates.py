"""What the certificates of the facility's own authorities have in common."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

BACKDATED = dt.timedelta(hours=1)
"""How long before its making a certificate begins to be valid, for clocks that are behind."""


def begin_certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    now: dt.datetime,
    lifetime: dt.timedelta,
) -> x509.CertificateBuilder:
    """Return the beginning of a certificate: names, key, number and times.

    Parameters
    ----------
    subject, issuer
        Whose it is and who signs it.
    key
        The subject's key.
    now
        The time.
    lifetime
        How long it is valid from now on.
    """
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
        # Python 3.13 verifies strictly (RFC 5280) and wants the identifiers
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def key_usage(*, sign_certificates: bool, exchange_keys: bool = False) -> x509.KeyUsage:
    """Return the key usage of an authority, or of everybody else.

    Parameters
    ----------
    sign_certificates
        Whether it is an authority.
    exchange_keys
        Whether session keys travel under its (RSA) key, as GSI has it.
    """
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_encipherment=exchange_keys,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Tell whether the authority has signed it; after a crash it may be that of an earlier one."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
