"""The signing key of the development IAM."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from af_hub.embedded.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

ALGORITHM = "RS256"


class Signer:
    """Signs tokens and publishes the public key.

    Parameters
    ----------
    path
        PEM file of the key, made with mode 0600 if absent, so that logins survive a restart.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            write_atomically(
                path,
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                ).decode(),
            )
        loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise TypeError("the signing key is not an RSA key")
        self._key = loaded
        public = loaded.public_key()
        der = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.kid = hashlib.sha256(der).hexdigest()[:16]
        self._public = public

    def jwks(self) -> dict[str, Any]:
        """Return the key set. As IAM's it holds only kty, e, n and kid: no alg, no use."""
        key = RSAAlgorithm.to_jwk(self._public, as_dict=True)
        return {"keys": [{name: key[name] for name in ("kty", "e", "n")} | {"kid": self.kid}]}

    def sign(self, claims: dict[str, Any]) -> str:
        """Return `claims` as a signed JWT."""
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"kid": self.kid})

    def read(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a token of ours that has not expired, else None."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._public, algorithms=[ALGORITHM], options={"verify_aud": False}
            )
        except jwt.InvalidTokenError:
            return None
        return claims
