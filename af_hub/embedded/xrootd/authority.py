"""A folder of certificate authorities as grid software wants it.

OpenSSL finds an authority by the hash of its name, ``<hash>.0`` (X509_LOOKUP_hash_dir(3)); grid
software also wants ``<hash>.signing_policy``, which says whom an authority may vouch for
(EACL, Globus Toolkit 4 security admin guide).
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from af_hub.embedded.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography import x509

_SHORT = {
    NameOID.COMMON_NAME: "CN",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COUNTRY_NAME: "C",
    NameOID.DOMAIN_COMPONENT: "DC",
}


def write_authorities(folder: Path, authorities: Mapping[x509.Certificate, str]) -> None:
    """Make a folder hold exactly these authorities.

    Parameters
    ----------
    folder
        Made if it is missing; what else has an authority's name in it is removed.
    authorities
        Certificate of each authority, and the subjects that it may sign, with ``*`` for any text,
        for example ``/DC=test/*``.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted: dict[str, str] = {}
    for certificate, subjects in authorities.items():
        name = subject_hash(certificate.subject)
        wanted[f"{name}.0"] = certificate.public_bytes(serialization.Encoding.PEM).decode()
        wanted[f"{name}.signing_policy"] = (
            f"access_id_CA X509 '{slashed(certificate.subject)}'\n"
            "pos_rights globus CA:sign\n"
            f"cond_subjects globus '\"{subjects}\"'\n"
        )
    for name, text in wanted.items():
        write_atomically(folder / name, text, mode=0o644)
    for path in folder.iterdir():
        if path.name not in wanted and re.fullmatch(r"[0-9a-f]{8}\.(0|signing_policy)", path.name):
            path.unlink()


def slashed(name: x509.Name) -> str:
    """Return a name as grid software writes it, for example ``/DC=test/CN=localhost``."""
    return "".join(f"/{_SHORT[each.oid]}={each.value!s}" for each in name)


def subject_hash(name: x509.Name) -> str:
    """Return OpenSSL's hash of a name (X509_NAME_hash(3)), eight hexadecimal digits.

    It is SHA-1 over the canonical form of the name: each attribute as UTF-8, in lower case, white
    space trimmed and collapsed, and without the sequence around the whole (x509_name_canon in
    OpenSSL's crypto/x509/x_name.c). Domain components too, although they are IA5 strings. SHA-1
    protects nothing here.
    """
    canonical = b""
    for attributes in name.rdns:
        entries = sorted(
            _der(0x30, _object_id(each.oid) + _der(0x0C, _folded(str(each.value))))
            for each in attributes
        )
        canonical += _der(0x31, b"".join(entries))
    digest = hashlib.sha1(canonical, usedforsecurity=False).digest()
    return digest[3::-1].hex()


def _folded(text: str) -> bytes:
    # only ASCII letters are folded: OpenSSL compares the rest byte by byte
    collapsed = re.sub(r"[ \t\n\v\f\r]+", " ", text.strip(" \t\n\v\f\r"))
    return re.sub(r"[A-Z]", lambda match: match[0].lower(), collapsed).encode()


def _object_id(oid: x509.ObjectIdentifier) -> bytes:
    first, second, *rest = (int(part) for part in oid.dotted_string.split("."))
    content = bytearray([40 * first + second])
    for number in rest:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(number & 0x7F | 0x80)
        content += bytes(reversed(groups))
    return _der(0x06, bytes(content))


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content
