"""Verification of tokens: signature, times and claims (pure functions, no I/O).

PyJWT checks the signature. The claims are checked here, with a clock that tests can set and
with errors that carry a code and never the token.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from af_hub.errors import IdentityError
from af_hub.iam.claims import check_version
from af_hub.iam.names import same_issuer
from af_hub.iam.signature import ALGORITHMS, half_hash, refused, signed_claims

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEEWAY: Final = 60.0
"""Seconds of clock difference that are accepted (WLCG Common JWT Profile)."""

ISSUED_WITHIN: Final = 300.0
"""Seconds that an ID token of a login or a refresh may be old: both bring a new one (OpenID Connect
Core 1.0, 3.1.3.7 number 10, and 12.2). An older one means that the clocks differ."""

MAX_SUBJECT: Final = 255
"""Characters of ``sub``, which are ASCII (OpenID Connect Core 1.0, 2)."""


def verify_id_token(
    token: str,
    keys: Mapping[str, Any],
    *,
    issuer: str,
    client_id: str,
    nonce: str | None = None,
    access_token: str | None = None,
    code: str | None = None,
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
    access_token, code
        What came with the ID token: ``at_hash`` and ``c_hash`` must be of these if they are there
        (in the code flow they may be missing; INDIGO IAM writes neither).
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
    algorithm, claims = signed_claims(token, keys, algorithms)
    if not same_issuer(_text(claims, "iss"), issuer):
        raise refused("issuer")
    _check_subject(claims)
    if set(_audiences(claims)) != {client_id}:
        raise refused("audience")
    if claims.get("azp", client_id) != client_id:
        raise refused("azp")
    moment = time.time() if now is None else now
    _check_issued(claims, leeway, moment)
    _check_times(claims, leeway, moment)
    if nonce is not None and claims.get("nonce") != nonce:
        raise refused("nonce")
    for name, value in (("at_hash", access_token), ("c_hash", code)):
        if name in claims and value is not None and claims[name] != half_hash(value, algorithm):
            raise refused("hash")
    return claims


def verify_userinfo(
    token: str,
    keys: Mapping[str, Any],
    *,
    issuer: str,
    client_id: str,
    algorithms: Sequence[str] = ALGORITHMS,
) -> dict[str, Any]:
    """Verify a signed answer of /userinfo by OpenID Connect Core 1.0 section 5.3.2.

    Parameters
    ----------
    token
        The answer, a JWT without times of its own.
    keys, issuer, client_id, algorithms
        As for `verify_id_token`; ``iss`` and ``aud`` must be there.

    Returns
    -------
    dict
        The claims; whom they are about is for the caller to compare.

    Raises
    ------
    UnknownKeyError
        ``token-key-unknown``.
    IdentityError
        ``token-…`` and the reason.
    """
    _, claims = signed_claims(token, keys, algorithms)
    if not same_issuer(_text(claims, "iss"), issuer):
        raise refused("issuer")
    if client_id not in _audiences(claims):
        raise refused("audience")
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
        ``token-…`` and the reason; ``profile-version``.
    """
    _, claims = signed_claims(token, keys, algorithms)
    if _text(claims, "iss") != issuer:
        raise refused("issuer")
    check_version(claims)
    accepted = {audience} if isinstance(audience, str) else set(audience)
    if not accepted.intersection(_audiences(claims)):
        raise refused("audience")
    moment = time.time() if now is None else now
    # RFC 9068 wants iat, WLCG tokens carry it, some issuers leave it out
    issued_at = _number(claims, "iat")
    if issued_at is not None and issued_at > moment + leeway:
        raise refused("not-yet-valid")
    _check_times(claims, leeway, moment)
    return claims


def _check_subject(claims: dict[str, Any]) -> None:
    """Refuse subjects that databases, logs or digests may change or choke on."""
    subject = _text(claims, "sub")
    if len(subject) > MAX_SUBJECT or not subject.isascii() or not subject.isprintable():
        raise refused("claims")


def _check_issued(claims: dict[str, Any], leeway: float, now: float) -> None:
    """Tell clocks that differ from tokens that have ended: it is the facility that must act."""
    issued_at = _number(claims, "iat")
    if issued_at is None:
        raise refused("claims")
    if not now - ISSUED_WITHIN <= issued_at <= now + leeway:
        raise IdentityError(
            "token-clock",
            "The clocks of the identity provider and of this facility differ. "
            "Please tell the facility's support; logging in again does not help.",
            f"the ID token was issued {now - issued_at:.0f} s ago",
        )


def _check_times(claims: dict[str, Any], leeway: float, now: float) -> None:
    expires = _number(claims, "exp")
    if expires is None:
        raise refused("claims")
    if now >= expires + leeway:
        raise refused("expired")
    not_before = _number(claims, "nbf")
    if not_before is not None and not_before > now + leeway:
        raise refused("not-yet-valid")


def _number(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    # NaN and infinity pass as JSON numbers in Python and compare false with everything
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise refused("claims")
    return float(value)


def _audiences(claims: dict[str, Any]) -> list[str]:
    value = claims.get("aud")
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return list(value)
    raise refused("audience")


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise refused("issuer" if name == "iss" else "claims")
    return value
