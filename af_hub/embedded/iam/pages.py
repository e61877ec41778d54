"""What the views of the login door share: who is there, and how a page is made.

Cookies do not know ports, so the cookies' names carry the port: two facilities on one machine
must not end each other's logins.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import TYPE_CHECKING, Any

from flask import Response, make_response, redirect, render_template, request

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from af_hub.embedded.iam.people import Person
    from af_hub.embedded.iam.provider import Provider

_FORM_SECONDS = 3600
_KEPT = re.compile(r"[A-Za-z0-9_-]{32}")


def query() -> str:
    """Return the query of the request, to be carried on."""
    return request.query_string.decode("ascii", "replace")


class Pages:
    """Browser sessions, and pages with their forms.

    Parameters
    ----------
    provider
        What both doors share.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        port = provider.config.login_port
        self._session_cookie = f"af-iam-session-{port}"
        self._form_cookie = f"af-iam-form-{port}"
        self._key = secrets.token_bytes(32)

    def person(self) -> Person | None:
        """Return who is logged in."""
        cookie = request.cookies.get(self._session_cookie, "")
        return self._provider.store.session(cookie) if cookie else None

    def began(self) -> int | None:
        """Return when the browser session began, in seconds since the epoch."""
        cookie = request.cookies.get(self._session_cookie, "")
        began = self._provider.store.session_began(cookie) if cookie else None
        return None if began is None else int(began)

    def form_is_ours(self) -> bool:
        """Tell whether a form comes from a page of ours that this browser was shown.

        The cookie alone would not tell: cookies know no ports, so whoever serves a page at another
        port of this machine, a notebook for one, can plant it and have a form sent along with the
        user's session. So the field is sealed to the session, and the page's origin is looked at.
        """
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.host:
            return False
        sent, kept = request.form.get("form", ""), request.cookies.get(self._form_cookie, "")
        return bool(kept) and secrets.compare_digest(sent.encode(), self._seal(kept).encode())

    def _seal(self, kept: str) -> str:
        session = request.cookies.get(self._session_cookie, "")
        return hmac.new(self._key, f"{session}\0{kept}".encode(), "sha256").hexdigest()

    def begin(self, person: Person, target: str) -> BaseResponse:
        """Begin a browser session and go on to a path of ours."""
        # a value that came with the request is never taken over (session fixation)
        self._provider.store.end_session(request.cookies.get(self._session_cookie, ""))
        session = secrets.token_urlsafe(32)
        seconds = self._provider.config.session_seconds
        self._provider.store.add_session(session, person.sub, seconds)
        answer = redirect(target, 303)
        answer.set_cookie(
            self._session_cookie, session, max_age=seconds, httponly=True, samesite="Lax"
        )
        answer.delete_cookie(self._form_cookie)
        return answer

    def end(self, answer: BaseResponse) -> BaseResponse:
        """End the browser session."""
        self._provider.store.end_session(request.cookies.get(self._session_cookie, ""))
        answer.delete_cookie(self._session_cookie)
        return answer

    def show(
        self,
        template: str,
        message: str,
        status: int = 200,
        *,
        form: bool = True,
        title: str = "Log in",
        **values: Any,
    ) -> Response:
        """Return a page.

        Parameters
        ----------
        template
            Name of the template.
        message
            A sentence at the top.
        status
            HTTP status; from 400 on the sentence looks like an error.
        form
            Whether the page has its form.
        title
            Of the browser's tab.
        values
            What else the template needs.
        """
        nonce = secrets.token_urlsafe(16)
        kept = request.cookies.get(self._form_cookie, "")
        if not _KEPT.fullmatch(kept):  # else the forms of other tabs stay good
            kept = secrets.token_urlsafe(24)
        html = render_template(
            template,
            title=title,
            message=message,
            failed=status >= 400,
            form=self._seal(kept) if form else "",
            nonce=nonce,
            **values,
        )
        answer = make_response(html, status)
        if form:
            answer.set_cookie(
                self._form_cookie, kept, max_age=_FORM_SECONDS, httponly=True, samesite="Lax"
            )
        answer.headers["Content-Security-Policy"] = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
            "base-uri 'none'; frame-ancestors 'none'"
        )
        return answer
