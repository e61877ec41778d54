"""The login door: pages for browsers, on plain http and loopback only."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from authlib.oauth2 import OAuth2Error
from flask import Flask, Response, redirect, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from af_hub.embedded.iam.consent import SIGN, Consent, target
from af_hub.embedded.iam.pages import Pages, query
from af_hub.embedded.iam.people import DEMO_PASSWORD

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from af_hub.embedded.iam.provider import Provider

_IMPOSSIBLE = (
    "The application asked for a login that cannot be. Go back to it and try again; "
    "if this page comes again, tell those who run it."
)


def login_app(provider: Provider) -> Flask:
    """Return the WSGI application of the login door."""
    app = Flask("af-iam-login", root_path=str(Path(__file__).parent), static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    # a page elsewhere whose name now leads here (DNS rebinding) must not read or fill in the form
    config = provider.config
    app.config["TRUSTED_HOSTS"] = ["localhost", config.host, *filter(None, [config.login_host])]
    pages = Pages(provider)
    door, consent = _Door(provider, pages), Consent(provider, pages)

    def device() -> Response | BaseResponse:
        if "username" in request.form:
            return door.login()
        return consent.device() if pages.person() else door.form("")

    app.add_url_rule("/", view_func=door.welcome, endpoint="welcome")
    app.add_url_rule("/authorize", view_func=door.authorize, endpoint="authorize")
    app.add_url_rule("/authorize", view_func=door.login, endpoint="login", methods=["POST"])
    both = ["GET", "POST"]
    app.add_url_rule("/login", view_func=door.login_page, endpoint="login-page", methods=both)
    app.add_url_rule("/logout", view_func=door.logout, endpoint="logout")
    app.add_url_rule("/endsession", view_func=door.end_session, endpoint="end", methods=both)
    app.add_url_rule("/device", view_func=device, endpoint="device", methods=both)
    app.add_url_rule(SIGN, view_func=consent.policy, endpoint="policy", methods=both)
    app.register_error_handler(ValueError, door.malformed)
    app.register_error_handler(HTTPException, door.missing)
    app.after_request(_protect)
    return app


class _Door:
    """The views of logging in and out.

    Parameters
    ----------
    provider, pages
        What the views work with.
    """

    def __init__(self, provider: Provider, pages: Pages) -> None:
        self._provider = provider
        self._pages = pages

    def welcome(self) -> Response:
        """Say what this is, to somebody who opens the address by hand."""
        person = self._pages.person()
        who = f"You are logged in as {person.username}." if person else "You are not logged in."
        door = ("/logout", "Log out") if person else ("/login", "Log in")
        return self._say(who, title="Home", links=(door, ("/device", "Log a device in")))

    def authorize(self) -> BaseResponse:
        """Send a logged-in browser back with a code, show the login form to any other."""
        person = self._pages.person()
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
            return self.form("")
        grant.logged_in_at = self._pages.began()
        answer: BaseResponse = self._provider.server.create_authorization_response(
            grant_user=person, grant=grant
        )
        answer.status_code = 303 if answer.status_code == 302 else answer.status_code
        return answer

    def login_page(self) -> BaseResponse:
        """Log somebody in who came by hand."""
        return self.login() if request.method == "POST" else self.form("")

    def login(self) -> BaseResponse:
        """Take user name and password; go on where the browser came from."""
        if not self._pages.form_is_ours():
            return self.form("This page was open for too long. Please try again.", 400)
        username = request.form.get("username", "")[:255].strip()
        person = self._provider.store.person(username=username)
        right = secrets.compare_digest(
            request.form.get("password", "").encode(), DEMO_PASSWORD.encode()
        )
        if person is None or not right:
            return self.form("User name or password is wrong.", 401, username)
        if not person.active:
            return self.form(f"User {person.username} is not active.", 401, username)
        if self._provider.store.unsigned_policy(person.sub) is not None:
            # the session lives already: as with the real IAM it gets codes without the signature
            return self._pages.begin(person, f"{SIGN}?{query()}")
        return self._pages.begin(person, target())

    def logout(self) -> BaseResponse:
        """End the browser session; tokens live on, as with the real IAM."""
        return self._pages.end(redirect("/login", 303))

    def end_session(self) -> Response:
        """Change nothing, as the real IAM: no form comes, and a form that is sent ends nothing."""
        return self._say(
            "This address ends no session.", title="Log out", links=(("/logout", "Log out"),)
        )

    def missing(self, error: HTTPException) -> Response:
        """Answer what Flask refuses by itself: no such page, method or size."""
        text = f"{error.name}. {error.description}"
        answer = self._say(text, error.code or 400, title="Error")
        if isinstance(error, MethodNotAllowed):
            answer.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return answer

    def malformed(self, _: ValueError) -> Response:
        """Answer where Authlib would quote a parameter in its sentence, and cannot."""
        return self._say(_IMPOSSIBLE, 400, title="Error")

    def form(self, message: str, status: int = 200, username: str = "") -> Response:
        """Return the login page."""
        return self._pages.show(
            "login.html",
            message,
            status,
            username=username,
            people=self._provider.store.people(),
            password=DEMO_PASSWORD,
            action=f"{request.path}?{query()}",
        )

    def _say(self, message: str, status: int = 200, **values: Any) -> Response:
        return self._pages.show("login.html", message, status, form=False, **values)

    def _refuse(self, error: Any) -> BaseResponse:
        """Send an error to the callback; a bad client or redirect URI gets a page instead."""
        if error.redirect_uri:
            status, body, headers = error()
            return Response(body, 303 if status == 302 else status, headers)
        text = f"{_IMPOSSIBLE} The reason: {error.description or error.error}"
        return self._say(text, 400, title="Error")


def _protect(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    # not no-referrer: browsers would send "Origin: null" with our own forms then
    answer.headers["Referrer-Policy"] = "same-origin"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
