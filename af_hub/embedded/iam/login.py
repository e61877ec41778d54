"""The login door: a page for browsers, on plain http and loopback only.

Cookies do not know ports, so the cookie's name carries the port: two facilities on one machine
must not end each other's logins.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from authlib.oauth2 import OAuth2Error
from flask import Flask, Response, make_response, redirect, render_template, request
from markupsafe import escape

from af_hub.embedded.iam.people import DEMO_PASSWORD

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from af_hub.embedded.iam.people import Person
    from af_hub.embedded.iam.provider import Provider

_FORM_SECONDS = 3600


def login_app(provider: Provider) -> Flask:
    """Return the WSGI application of the login door."""
    app = Flask("af-iam-login", root_path=str(Path(__file__).parent), static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    door = _Door(provider)
    app.add_url_rule("/", view_func=door.welcome, endpoint="welcome")
    app.add_url_rule("/authorize", view_func=door.authorize, endpoint="authorize")
    app.add_url_rule("/authorize", view_func=door.login, endpoint="login", methods=["POST"])
    app.add_url_rule("/logout", view_func=door.logout, endpoint="logout")
    app.after_request(_protect)
    return app


class _Door:
    """The views.

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

    def welcome(self) -> Response:
        """Say what this is, to somebody who opens the address by hand."""
        person = self._person()
        who = f"You are logged in as {person.username}." if person else "You are not logged in."
        return self._page(f"This is the identity provider of a demo facility. {who}", form=False)

    def authorize(self) -> BaseResponse:
        """Send a logged-in browser back with a code, show the login form to any other."""
        person = self._person()
        try:
            grant = self._provider.server.get_consent_grant(end_user=person)
        except OAuth2Error as error:
            return self._refuse(error)
        if request.args.get("prompt") == "none":
            # IAM answers so even while a session lives
            return self._refuse(
                OAuth2Error(
                    error="login_required",
                    state=request.args.get("state"),
                    redirect_uri=grant.redirect_uri,
                )
            )
        if person is None:
            return self._page("")
        answer: BaseResponse = self._provider.server.create_authorization_response(
            grant_user=person, grant=grant
        )
        return answer

    def login(self) -> BaseResponse:
        """Take user name and password; go on where the browser came from."""
        sent, kept = request.form.get("form", ""), request.cookies.get(self._form_cookie, "")
        if not kept or not secrets.compare_digest(sent.encode(), kept.encode()):
            return self._page("This page was open for too long. Please try again.", 400)
        username = request.form.get("username", "")[:255].strip()
        person = self._provider.store.person(username=username)
        right = secrets.compare_digest(
            request.form.get("password", "").encode(), DEMO_PASSWORD.encode()
        )
        if person is None or not right:
            return self._page("User name or password is wrong.", 401, username)
        if not person.active:
            return self._page(f"User {person.username} is not active.", 401, username)
        session = secrets.token_urlsafe(32)
        seconds = self._provider.config.session_seconds
        self._provider.store.add_session(session, person.sub, seconds)
        # only the query is carried on, the path is ours: no open redirect
        answer = redirect(f"authorize?{request.query_string.decode('ascii', 'replace')}", 303)
        answer.set_cookie(
            self._session_cookie, session, max_age=seconds, httponly=True, samesite="Lax"
        )
        answer.delete_cookie(self._form_cookie)
        return answer

    def logout(self) -> BaseResponse:
        """End the browser session; tokens live on, as with the real IAM."""
        self._provider.store.end_session(request.cookies.get(self._session_cookie, ""))
        answer = self._page("You are logged out of the identity provider.", form=False)
        answer.delete_cookie(self._session_cookie)
        return answer

    def _person(self) -> Person | None:
        cookie = request.cookies.get(self._session_cookie, "")
        return self._provider.store.session(cookie) if cookie else None

    def _refuse(self, error: Any) -> BaseResponse:
        """Send an error to the callback; a bad client or redirect URI gets a page instead."""
        if error.redirect_uri:
            status, body, headers = error()
            return Response(body, 303 if status == 302 else status, headers)
        text = str(escape(error.description or error.error))
        return self._page(
            f"The application asked for something impossible: {text}", 400, form=False
        )

    def _page(
        self, message: str, status: int = 200, username: str = "", *, form: bool = True
    ) -> Response:
        token, nonce = secrets.token_urlsafe(24), secrets.token_urlsafe(16)
        html = render_template(
            "login.html",
            message=message,
            failed=status >= 400,
            username=username,
            form=token if form else "",
            people=self._provider.store.people() if form else [],
            password=DEMO_PASSWORD,
            nonce=nonce,
            action=f"authorize?{request.query_string.decode('ascii', 'replace')}",
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


def _protect(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
