"""Verification of tokens: signature, times and claims (pure functions, no I/O).

PyJWT checks the signature. The claims are checked here, with a clock that tests can set and
with errors that carry a code and never the token.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import jwt

from af_hub.errors import IdentityError
from af_hub.iam.names import same_issuer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALGORITHMS: Final = ("RS256", "ES256")
"""What the WLCG profile makes mandatory. Never ``none``, never HS*: a public key is no secret."""

LEEWAY: Final = 60.0
"""Seconds of clock difference that are accepted (WLCG Common JWT Profile)."""

MAX_LENGTH: Final = 1_048_576
"""Characters of a token; ten thousand groups fit."""

_KEY_TYPES: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC"}


class UnknownKeyError(IdentityError):
    """The token's key is not in the key set: after a key rotation the set must be fetched again."""


def verify_id_token(
    token: str,
    keys: Mapping[str, Any],
    *,
    issuer: str,
    client_id: str,
    nonce: str | None = None,
    algorithms: Sequence[str] = ALGORITHMS,
    leeway: float = LEEWAY,
    now: float | None = None,
) -> dict[str, Any]:
    """Verify an ID token by OpenID Connect Core 1.0 section 3.1.3.7.

    Parameters
    ----------
    token
        The ID token.
    keys
        The issuer's JWKS document.
    issuer
        Expected ``iss``; a trailing slash makes no difference (INDIGO IAM).
    client_id
        Must be in ``aud``, which must name nobody else, and be ``azp`` if that is there.
    nonce
        Expected ``nonce`` at login. None at refresh, where it may be missing.
    algorithms
        Accepted signature algorithms.
    leeway
        Seconds of clock difference.
    now
        The time (seconds since the epoch), for tests.

    Returns
    -------
    dict
        The claims.

    Raises
    ------
    UnknownKeyError
        ``token-key-unknown``.
    IdentityError
        ``token-…`` and the reason.
    """
    claims = _signed_claims(token, keys, algorithms)
    if not same_issuer(_text(claims, "iss"), issuer):
        raise _refused("issuer")
    _text(claims, "sub")
    if set(_audiences(claims)) != {client_id}:
        raise _refused("audience")
    if claims.get("azp", client_id) != client_id:
        raise _refused("azp")
    _check_times(claims, leeway, time.time() if now is None else now, issued=True)
    if nonce is not None and claims.get("nonce") != nonce:
        raise _refused("nonce")
    return claims


def verify_access_token(
    token: str,
    keys: Mapping[str, Any],
    *,
    issuer: str,
    audience: str | Sequence[str],
    algorithms: Sequence[str] = ALGORITHMS,
    leeway: float = LEEWAY,
    now: float | None = None,
) -> dict[str, Any]:
    """Verify an access token, as a service that receives it does.

    Parameters
    ----------
    token
        The access token, a JWT.
    keys
        The issuer's JWKS document.
    issuer
        Expected ``iss``, byte for byte: other services on the token's way compare bytes too.
    audience
        One of these must be in ``aud``. Add ``https://wlcg.cern.ch/jwt/v1/any`` to accept tokens
        for nobody in particular.
    algorithms, leeway, now
        As for `verify_id_token`.

    Returns
    -------
    dict
        The claims. What the token allows is in ``scope``; this function does not judge it.

    Raises
    ------
    UnknownKeyError
        ``token-key-unknown``.
    IdentityError
        ``token-…`` and the reason.
    """
    claims = _signed_claims(token, keys, algorithms)
    if _text(claims, "iss") != issuer:
        raise _refused("issuer")
    accepted = {audience} if isinstance(audience, str) else set(audience)
    if not accepted.intersection(_audiences(claims)):
        raise _refused("audience")
    # RFC 9068 wants iat, WLCG tokens carry it, some issuers leave it out
    _check_times(claims, leeway, time.time() if now is None else now, issued=False)
    return claims


def _signed_claims(
    token: str, keys: Mapping[str, Any], algorithms: Sequence[str]
) -> dict[str, Any]:
    if len(token) > MAX_LENGTH or not token.isascii():
        raise _refused("malformed")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise _refused("malformed") from None
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise _refused("algorithm")
    if "crit" in header:
        raise _refused("algorithm")  # RFC 7515: extensions that are not understood
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
        raise _refused("signature") from None
    return claims


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


def _check_times(claims: dict[str, Any], leeway: float, now: float, *, issued: bool) -> None:
    expires = _number(claims, "exp")
    if expires is None:
        raise _refused("claims")
    if now >= expires + leeway:
        raise _refused("expired")
    not_before = _number(claims, "nbf")
    if not_before is not None and not_before > now + leeway:
        raise _refused("not-yet-valid")
    issued_at = _number(claims, "iat")
    if issued and issued_at is None:
        raise _refused("claims")
    if issued_at is not None and issued_at > now + leeway:
        raise _refused("not-yet-valid")


def _number(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    # NaN and infinity pass as JSON numbers in Python and compare false with everything
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise _refused("claims")
    return float(value)


def _audiences(claims: dict[str, Any]) -> list[str]:
    value = claims.get("aud")
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return list(value)
    raise _refused("audience")


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise _refused("issuer" if name == "iss" else "claims")
    return value


_SENTENCE: Final = (
    "The identity provider's answer could not be verified. "
    "Please log in again; if it happens again, tell the facility's support the code below."
)


def _refused(reason: str) -> IdentityError:
    return IdentityError(f"token-{reason}", _SENTENCE)
