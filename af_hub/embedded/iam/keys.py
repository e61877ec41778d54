"""The signing keys of the development IAM."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from af_hub.embedded.files import write_atomically
from af_hub.embedded.iam.switches import Control, changed

if TYPE_CHECKING:
    from pathlib import Path

    from af_hub.embedded.iam.switches import Switches

ALGORITHM = "RS256"

_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_ELLIPTIC: Final = "elliptic"
"""Name of the one key that is not RSA; it is made when ID tokens are to be signed with it."""


class Signer:
    """Signs tokens and publishes the public keys.

    Parameters
    ----------
    folder
        Holds the PEM files of the keys, made with mode 0600 if absent, so that logins survive a
        restart.
    control
        Says which key signs, and whether tokens are to be spoilt.
    """

    def __init__(self, folder: Path, control: Control | None = None) -> None:
        self._folder = folder
        self._control = control or Control()
        self._lock = threading.Lock()
        self._keys: dict[int | str, _Key] = {}
        self._key(0)
        for path in folder.glob("signing-key-*.pem"):
            number = path.stem.rpartition("-")[2]
            self._key(int(number) if number.isdecimal() else number)

    @property
    def kid(self) -> str:
        """Id of the key that signs."""
        return _kid(self._key(self._control.switches().signing_key))

    def jwks(self) -> dict[str, Any]:
        """Return the key set. As IAM's it holds only kty, e, n and kid: no alg, no use."""
        switches = self._control.switches()
        numbers: tuple[int | str, ...] = switches.published_keys or ()
        if switches.published_keys is None:
            numbers = (switches.signing_key,)
        if switches.algorithm == "ES256":
            numbers = (*numbers, _ELLIPTIC)
        return {"keys": [_public(self._key(number)) for number in numbers]}

    def sign(self, claims: dict[str, Any]) -> str:
        """Return `claims` as a signed JWT."""
        key = self._key(self._control.switches().signing_key)
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": _kid(key)})

    def sign_id_token(self, claims: dict[str, Any], client_secret: str) -> str:
        """Return an ID token; only these are ever signed by another algorithm, or spoilt.

        Parameters
        ----------
        claims
            The claims, the id of the signing key among them.
        client_secret
            Key of HS256, as OpenID Connect Core, section 10.1 has it.
        """
        switches = self._control.switches()
        key, kid = self._key_of(switches, client_secret)
        token = jwt.encode(
            claims,
            key,
            algorithm=None if key is None else switches.algorithm,
            # PyJWT leaves headers out that are None
            headers=changed({"kid": kid}, switches.id_token_header),
        )
        if switches.spoil_signature:
            signed, _, signature = token.rpartition(".")
            # the first character: all of its bits count
            token = f"{signed}.{'B' if signature.startswith('A') else 'A'}{signature[1:]}"
        return token

    def read(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a token of ours, else None.

        Its times are not looked at: the store knows what has expired, by the IAM's own clock.
        """
        options: Any = dict.fromkeys(
            ("verify_aud", "verify_exp", "verify_iat", "verify_nbf"), False
        )
        with self._lock:
            keys = list(self._keys.values())
        for key in keys:
            if isinstance(key, ec.EllipticCurvePrivateKey):
                continue
            try:
                claims: dict[str, Any] = jwt.decode(
                    token, key.public_key(), algorithms=[ALGORITHM], options=options
                )
            except jwt.InvalidTokenError:
                continue
            return claims
        return None

    def _key_of(self, switches: Switches, client_secret: str) -> tuple[Any, str]:
        if switches.algorithm == "none":
            return None, self.kid
        if switches.algorithm == "HS256":
            return client_secret, self.kid
        name = _ELLIPTIC if switches.algorithm == "ES256" else switches.signing_key
        key = self._key(name)
        return key, _kid(key)

    def _key(self, name: int | str) -> _Key:
        with self._lock:
            if name not in self._keys:
                # the first one has no number: facilities that exist have it under this name
                suffix = f"-{name}" if name else ""
                self._keys[name] = _load(self._folder / f"signing-key{suffix}.pem", name)
            return self._keys[name]


def _load(path: Path, name: int | str) -> _Key:
    if not path.exists():
        key: _Key = (
            ec.generate_private_key(ec.SECP256R1())
            if name == _ELLIPTIC
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
        write_atomically(
            path,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode(),
        )
    loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(loaded, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise TypeError("the signing key is neither an RSA nor an elliptic key")
    return loaded


def _kid(key: _Key) -> str:
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()[:16]


def _public(key: _Key) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        found = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        names: tuple[str, ...] = ("kty", "e", "n")
    else:
        found = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        names = ("kty", "crv", "x", "y")
    return {name: found[name] for name in names} | {"kid": _kid(key)}
