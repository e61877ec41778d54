"""Error pages of login and logout: a sentence, a code, a next step."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from tornado import web

from af_hub.errors import IAMUnavailable, Refusal, SessionOver

if TYPE_CHECKING:
    from af_hub.errors import AFError

LOGGED_OUT_PAGE: Final = """\
{% extends "page.html" %}
{% block main %}
<div class="container text-center" id="af-logged-out">
  <h1>You are logged out</h1>
  <p>The facility has forgotten your tokens{% if revoked %} and has ended them at the identity
  provider{% endif %}.</p>
  {% if iam_logout_url %}<p>You may still be logged in at the identity provider itself.
  <a href="{{ iam_logout_url }}" rel="noreferrer">End that login too</a></p>{% endif %}
  <p><a class="btn btn-jupyter" href="{{ login_url }}">Log in again</a></p>
</div>
{% endblock main %}
"""
"""Rendered from a string, so that it works without any ``template_paths``."""


class PageError(web.HTTPError):
    """An error page that JupyterHub renders with its own ``error.html``.

    Parameters
    ----------
    error
        What happened; its message is shown, its detail is only logged.
    again
        Address of a link to try again; empty for none.
    """

    def __init__(self, error: AFError, *, again: str = "") -> None:
        super().__init__(error.status, "%s: %s", error.code, error.detail, reason=_title(error))
        self.error = error
        link = f'<p><a class="btn btn-jupyter" href="{escape(again)}">Try again</a></p>'
        # read by JupyterHub's write_error (5.5 and 6.1)
        self.jupyterhub_message = str(error)
        self.jupyterhub_html_message = (
            f"<p>{escape(error.message)}</p><p>Code: <code>{escape(error.code)}</code></p>"
            f"{link if again else ''}"
        )


def _title(error: AFError) -> str:
    if isinstance(error, Refusal):
        return "You may not use this facility"
    if isinstance(error, IAMUnavailable):
        return "The identity provider does not answer"
    if isinstance(error, SessionOver):
        return "Your login has ended"
    return "The login did not work"
