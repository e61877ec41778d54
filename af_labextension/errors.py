"""The exception tree of the Lab side.

::

    LabError            something went wrong; has a stable code and a sentence for the user
    ├── NotAnswering    the other side did not answer, or not usefully: wait and try again
    ├── Refused         the other side said no: trying again changes nothing
    ├── BadRequest      the browser sent something that cannot be meant
    └── FileTrouble     a file in the Lab cannot be written (folder full, read-only, gone)

"Did not answer" and "said no" are different types on purpose: the first waits with the token it
still has, the second shows the user what to do.
"""

from __future__ import annotations


class LabError(Exception):
    """An error with a stable code.

    Parameters
    ----------
    code
        Stable, documented, lower-case with dashes, for example ``hub-unreachable``.
    message
        One or two sentences that are safe to show to the user, with the next step.
    status
        HTTP status that a handler answers with.
    detail
        For the log only. Must hold no token.
    """

    default_status = 500

    def __init__(
        self, code: str, message: str, status: int | None = None, detail: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = self.default_status if status is None else status
        self.detail = detail

    def __str__(self) -> str:
        """Return user message and code, without the detail."""
        return f"{self.message} [{self.code}]"

    def as_json(self) -> dict[str, str]:
        """Return ``{"code", "message"}``, the form in which every error reaches the browser."""
        return {"code": self.code, "message": self.message}


class NotAnswering(LabError):
    """The other side did not answer, or not usefully (5xx, time-out, garbage)."""

    default_status = 503


class Refused(LabError):
    """The other side said no."""

    default_status = 403


class BadRequest(LabError):
    """The browser sent something that cannot be meant."""

    default_status = 400


class FileTrouble(LabError):
    """A file in the Lab cannot be written."""
