"""What the identity provider's refusals mean (pure functions).

INDIGO IAM does not answer as the RFCs say: a dead refresh token is 401 ``invalid_token``, a
disabled account and a wrong client secret share 401 ``unauthorized``, and its texts hold whole
tokens. "The login is over" and "something is wrong with the provider or the hub's client" must
not be mixed up: the first logs one person out, the second must log out nobody.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from af_hub.errors import AFError, IAMUnavailable, IdentityError, SessionOver

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN_LIKE: Final = re.compile(r"[A-Za-z0-9_\-+/=.~]{24,}")
_AUP: Final = re.compile(r"\bsign(?:ed)? (?:the )?AUP\b", re.IGNORECASE)
# the last: what a provider on Authlib (Canaille) says of a locked account, as invalid_request
_INACTIVE: Final = re.compile(
    r"\bnot active\b|\bdisabled\b|\bsuspended\b|\bno 'user' for this token\b", re.IGNORECASE
)

LOGIN_OVER: Final = "login-over"


def scrub(text: object, limit: int = 200) -> str:
    """Return foreign text without anything that looks like a token, short, on one line.

    Examples
    --------
    >>> scrub("Invalid refresh token: eyJhbGciOiJub25lIn0.eyJqdGkiOiI0MiJ9.")
    'Invalid refresh token: [removed]'
    """
    line = " ".join(_TOKEN_LIKE.sub("[removed]", str(text)[:10_000]).split())
    return "".join(character for character in line if character.isprintable())[:limit]


def _quoted(text: str) -> str:
    """Return the provider's own words for the user: they may name the policy or a contact."""
    return f"It says: {scrub(text)}"


def error_of(status: int, body: Mapping[str, Any]) -> AFError:
    """Return the exception for a refusal of the token endpoint.

    Parameters
    ----------
    status
        HTTP status, 4xx.
    body
        The JSON object, possibly empty.
    """
    code = str(body.get("error", ""))[:60]
    description = str(body.get("error_description", ""))[:10_000]
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
