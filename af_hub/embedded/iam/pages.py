"""What the views of the login door share: who is there, and how a page is made.

Cookies do not know ports, so the cookies' names carry the port: two facilities on one machine
must not end each other's logins.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from flask import Response, make_response, redirect, render_template, request

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from af_hub.embedded.iam.people import Person
    from af_hub.embedded.iam.provider import Provider

_FORM_SECONDS = 3600


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

    def person(self) -> Person | None:
        """Return who is logged in."""
        cookie = request.cookies.get(self._session_cookie, "")
        return self._provider.store.session(cookie) if cookie else None

    def form_is_ours(self) -> bool:
        """Tell whether a form comes from a page of ours that this browser was shown."""
        sent, kept = request.form.get("form", ""), request.cookies.get(self._form_cookie, "")
        return bool(kept) and secrets.compare_digest(sent.encode(), kept.encode())

    def begin(self, person: Person, target: str) -> BaseResponse:
        """Begin a browser session and go on to a path of ours."""
        session = secrets.token_urlsafe(32)
        seconds = self._provider.config.session_seconds
        self._provider.store.add_session(session, person.sub, seconds)
        answer = redirect(target, 303)
        answer.set_cookie(
            self._session_cookie, session, max_age=seconds, httponly=True, samesite="Lax"
        )
        answer.delete_cookie(self._form_cookie)
        return answer

    def end(self, answer: Response) -> Response:
        """End the browser session."""
        self._provider.store.end_session(request.cookies.get(self._session_cookie, ""))
        answer.delete_cookie(self._session_cookie)
        return answer

    def show(
        self, template: str, message: str, status: int = 200, *, form: bool = True, **values: Any
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
        values
            What else the template needs.
        """
        token, nonce = secrets.token_urlsafe(24), secrets.token_urlsafe(16)
        html = render_template(
            template,
            message=message,
            failed=status >= 400,
            form=token if form else "",
            nonce=nonce,
            **values,
        )
        answer = make_response(html, status)
        if form:
            answer.set_cookie(
                self._form_cookie, token, max_age=_FORM_SECONDS, httponly=True, samesite="Lax"
            )
        answer.headers["Content-Security-Policy"] = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
            "base-uri 'none'; frame-ancestors 'none'"
        )
        return answer
