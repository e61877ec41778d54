"""What the identity provider's refusals mean (pure functions).

INDIGO IAM does not answer as the RFCs say: a dead refresh token is 401 ``invalid_token``, a
disabled account and a wrong client secret share 401 ``unauthorized``, and its texts hold whole
tokens. "The login is over" and "something is wrong with the provider or the hub's client" must
not be mixed up: the first logs one person out, the second must log out nobody.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

from af_hub.errors import AFError, IAMUnavailable, IdentityError, SessionOver

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TOKEN_LIKE: Final = re.compile(r"[A-Za-z0-9_\-+/=.~]{24,}")
_AUP: Final = re.compile(r"\bsign(?:ed)? (?:the )?AUP\b", re.IGNORECASE)
# the last: what a provider on Authlib (Canaille) says of a locked account, as invalid_request
_INACTIVE: Final = re.compile(
    r"\bnot active\b|\bdisabled\b|\bsuspended\b|\bno 'user' for this token\b", re.IGNORECASE
)

_REMOVED: Final = "[removed]"

_SHORTEST: Final = 6
"""Characters of what is hidden by its value; INDIGO IAM's authorization codes have six."""

LOGIN_OVER: Final = "login-over"


def scrub(text: object, limit: int = 200) -> str:
    """Return foreign text without anything that looks like a token, short, on one line.

    Examples
    --------
    >>> scrub("Invalid refresh token: eyJhbGciOiJub25lIn0.eyJqdGkiOiI0MiJ9.")
    'Invalid refresh token: [removed]'
    """
    line = " ".join(_TOKEN_LIKE.sub(_REMOVED, str(text)[:10_000]).split())
    return "".join(character for character in line if character.isprintable())[:limit]


def without(text: str, secrets: Iterable[str]) -> str:
    """Return text in which none of the secrets stands, nor in the forms that HTTP gives them.

    A provider may repeat what it was sent, and not all of that looks like a token: codes are
    short, and a client secret can be any words.

    Examples
    --------
    >>> without("no authorization code found for value aB3xY9", ["aB3xY9"])
    'no authorization code found for value [removed]'
    """
    forms: set[str] = set()
    for secret in secrets:
        encoded = base64.b64encode(secret.encode()).decode()
        forms |= {secret, quote(secret, safe=""), quote_plus(secret), encoded}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= _SHORTEST:
            text = text.replace(form, _REMOVED)
    return text


def _quoted(text: str) -> str:
    """Return the provider's own words for the user: they may name the policy or a contact."""
    return f"It says: {scrub(text)}"


def error_of(status: int, body: Mapping[str, Any], sent: Iterable[str] = ()) -> AFError:
    """Return the exception for a refusal of the token endpoint.

    Parameters
    ----------
    status
        HTTP status, 4xx.
    body
        The JSON object, possibly empty.
    sent
        Secrets of the request, which the answer may repeat.
    """
    secrets = tuple(sent)
    code = without(str(body.get("error", "")), secrets)[:60]
    description = without(str(body.get("error_description", "")), secrets)[:10_000]
    if _AUP.search(description):
        return SessionOver(
            "aup-not-signed",
            "The identity provider wants you to sign its acceptable use policy. "
            f"Log in there, sign it, and come back. {_quoted(description)}",
            scrub(description),
        )
    if code in {"unauthorized", "invalid_request"} and _INACTIVE.search(description):
        return SessionOver(
            "account-disabled",
            "Your account at the identity provider is not active. "
            "Please ask those who run it, usually your experiment's secretariat. "
            f"{_quoted(description)}",
            scrub(description),
        )
    if code == "invalid_grant" or (status == 401 and code == "invalid_token"):
        return SessionOver(
            LOGIN_OVER,
            "Your login has ended at the identity provider. Please log in again.",
            scrub(description),
        )
    if code in {"invalid_scope", "invalid_target", "access_denied"}:
        return IdentityError(
            "token-not-granted",
            "The identity provider does not give you this token: your groups do not cover it.",
            f"{scrub(code)}: {scrub(description)}",
        )
    # wrong client secret, unregistered grant, unknown client, garbage: the hub's own problem
    return IAMUnavailable(
        "iam-refused-hub",
        "The identity provider does not accept this facility's registration. "
        "Please tell the facility's support.",
        f"{status} {scrub(code)}: {scrub(description)}",
    )
