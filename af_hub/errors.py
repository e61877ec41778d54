"""The exception tree of the hub side.

::

    AFError                     something went wrong; has a stable code and a sentence for the user
    ├── ConfigError             the facility file or a trait is wrong
    ├── IdentityError           a token or claim was refused
    ├── IAMUnavailable          the identity provider did not answer (wait, do not log out)
    ├── SessionOver             the identity provider ended the login (log in again)
    ├── ComputeError            the Dask service refused or failed
    └── SetupError              this machine lacks something
    Refusal                     policy said no: not a failure, never a traceback

"The other side said no" (`SessionOver`, `Refusal`) and "the other side did not answer"
(`IAMUnavailable`) are different types on purpose: the first ends something, the second waits.
"""

from __future__ import annotations


class AFError(Exception):
    """An error with a stable code.

    Parameters
    ----------
    code
        Stable, documented, lower-case with dashes, for example ``iam-unreachable``.
    message
        One or two sentences that are safe to show to the user, with the next step.
    detail
        For the log only. Must hold no token or secret.
    """

    status = 500
    """HTTP status that a handler answers with."""

    def __init__(self, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail

    def __str__(self) -> str:
        """Return code and user message, without the detail."""
        return f"{self.message} [{self.code}]"


class ConfigError(AFError):
    """The facility file or a trait is wrong."""


class IdentityError(AFError):
    """A token, claim or identity was refused."""

    status = 403


class IAMUnavailable(AFError):
    """The identity provider did not answer, or not usefully (5xx, time-out, garbage)."""

    status = 503


class SessionOver(AFError):
    """The identity provider ended this login: refresh token expired or revoked, account disabled."""

    status = 401


class ComputeError(AFError):
    """The Dask service refused a request or failed."""


class SetupError(AFError):
    """Something is missing on the machine; the message says what to install."""


class Refusal(AFError):
    """Policy said no. A refusal is an answer, not a failure.

    Parameters
    ----------
    reason
        From a fixed list, used as metric label and as ``code``.
    message
        Sentence for the user.
    """

    status = 403

    def __init__(self, reason: str, message: str, *, status: int = 403) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.status = status
