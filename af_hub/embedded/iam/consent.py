"""Pages on which a person who has logged in says yes: device codes and the use policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import redirect, request

from af_hub.embedded.iam.pages import query

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.wrappers import Response as BaseResponse

    from af_hub.embedded.iam.pages import Pages
    from af_hub.embedded.iam.provider import Provider

SIGN = "/iam/aup/sign"
"""Where IAM sends somebody who has not signed the acceptable use policy."""

_TOO_LONG = "This page was open for too long. Please try again."


def target() -> str:
    """Return where a login goes on: only the query is carried on, the path is ours."""
    if request.path in {"/authorize", "/device"}:
        path = request.path
    elif "client_id" in request.args:
        path = "/authorize"
    else:
        path = "/device" if "user_code" in request.args else "/"
    return f"{path}?{query()}"


class Consent:
    """The views.

    Parameters
    ----------
    provider, pages
        What the views work with.
    """

    def __init__(self, provider: Provider, pages: Pages) -> None:
        self._provider = provider
        self._pages = pages

    def policy(self) -> BaseResponse:
        """Show the acceptable use policy, and take the signature."""
        person = self._pages.person()
        text = self._provider.store.unsigned_policy(person.sub) if person else None
        if person is None or text is None:
            return redirect(target(), 303)
        if request.method == "POST" and self._pages.form_is_ours():
            self._provider.store.sign_policy(person.sub)
            return redirect(target(), 303)
        return self._ask(
            "Please read and sign the acceptable use policy.", ("Sign",), text=text, title="Policy"
        )

    def device(self) -> Response:
        """Ask for the code on the device, then whether its login is wanted."""
        credential = self._provider.devices.waiting(request.args.get("user_code", ""))
        if credential is None:
            wrong = "user_code" in request.args
            return self._pages.show(
                "ask.html",
                "This code is not known, or its time is over." if wrong else "",
                400 if wrong else 200,
                action="/device",
                method="get",
                ask_code=True,
                buttons=("Continue",),
                **self._about(),
            )
        person = self._pages.person()
        approved = request.form.get("button") == "Approve"
        if request.method != "POST":
            # whoever was sent a link has to see that it is not the code of a device at hand
            facts = (("Application", credential.client_id), ("Code", credential.user_code))
            return self._ask(
                "Does your device show this code? If not, somebody else wants your login: deny.",
                ("Approve", "Deny"),
                facts=facts,
                scopes=credential.scope.split(),
                **self._about(),
            )
        if person is None or not self._pages.form_is_ours():
            return self._pages.show("ask.html", _TOO_LONG, 400, form=False, **self._about())
        if approved or self._provider.control.switches().standard_device_flow:
            # else the real IAM forgets that somebody said no: the device goes on waiting
            self._provider.devices.decide(credential, person, approved=approved)
        done = "Your device is logged in." if approved else "Your device is not logged in."
        done += " You may close this page."
        return self._pages.show("ask.html", done, form=False, **self._about())

    def _about(self) -> dict[str, Any]:
        person = self._pages.person()
        links = (("/logout", "Log out"),)
        return {"title": "Device", "who": person.username if person else "", "links": links}

    def _ask(self, message: str, buttons: tuple[str, ...], **values: Any) -> Response:
        return self._pages.show(
            "ask.html",
            message,
            action=f"{request.path}?{query()}",
            method="post",
            buttons=buttons,
            **values,
        )
