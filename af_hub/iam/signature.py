"""Signatures of tokens: whose key, which algorithm, nothing else (pure functions)."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final

import jwt

from af_hub.errors import IdentityError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALGORITHMS: Final = ("RS256", "ES256")
"""What the WLCG profile makes mandatory. Never ``none``, never HS*: a public key is no secret."""

MAX_LENGTH: Final = 1_048_576
"""Characters of a token; ten thousand groups fit."""

_HALF_HASHES: Final = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
_KEY_TYPES: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC"}


_SENTENCE: Final = (
    "The identity provider's answer could not be verified. "
    "Please log in again; if it happens again, tell the facility's support the code below."
)


class UnknownKeyError(IdentityError):
    """The token's key is not in the key set: after a key rotation the set must be fetched again."""


def signed_claims(
    token: str, keys: Mapping[str, Any], algorithms: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    """Return algorithm and claims of a token that one of the keys has signed; no claim is judged.

    Raises
    ------
    UnknownKeyError
        ``token-key-unknown``.
    IdentityError
        ``token-malformed``, ``token-algorithm``, ``token-signature``.
    """
    if len(token) > MAX_LENGTH or not token.isascii():
        raise refused("malformed")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise refused("malformed") from None
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise refused("algorithm")
    if "crit" in header:
        raise refused("algorithm")  # RFC 7515: extensions that are not understood
    key = _key(keys, header.get("kid"), algorithm)
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            options={
                "verify_signature": True,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": False,
                "verify_iss": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise refused("signature") from None
    return algorithm, claims


def _key(keys: Mapping[str, Any], kid: object, algorithm: str) -> jwt.PyJWK:
    """Return the key by its id; without id only where one key fits (Core 10.1)."""
    listed = keys.get("keys")
    wanted = _KEY_TYPES[algorithm[:2]]
    fitting = [
        key
        for key in (listed if isinstance(listed, list) else [])
        if isinstance(key, dict)
        and key.get("kty") == wanted
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") == kid)
    ]
    if len(fitting) != 1:
        raise UnknownKeyError("token-key-unknown", _SENTENCE, "no key, or several, fit the token")
    try:
        # IAM's keys carry no alg: it is given, from the allow-list
        return jwt.PyJWK.from_dict(fitting[0], algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        raise UnknownKeyError("token-key-unknown", _SENTENCE, "the key is unusable") from None


def half_hash(value: str, algorithm: str) -> str:
    """Return ``at_hash`` or ``c_hash`` of a value (OpenID Connect Core 1.0, 3.1.3.6).

    Parameters
    ----------
    value
        Access token or code.
    algorithm
        ``alg`` of the ID token, whose hash is used.

    Examples
    --------
    >>> half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256")
    '77QmUPtjPfzWtF2AnpK9RQ'
    """
    digest = _HALF_HASHES[algorithm[2:]](value.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def refused(reason: str) -> IdentityError:
    """Return the error for a token, without the token."""
    return IdentityError(f"token-{reason}", _SENTENCE)
