"""What all our handlers have in common."""

from __future__ import annotations

import json
import logging
from http.client import responses
from typing import Any

from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError

from .errors import LabError

log = logging.getLogger(__name__)


class FacilityHandler(APIHandler):
    """A JSON handler whose errors are ``{"code", "message"}`` with a proper status.

    Subclasses put ``@authenticated`` and ``@authorized`` on each method: neither is inherited.
    """

    auth_resource = "analysis-facility"

    # our panels ask by themselves: that is no activity of a user
    _track_activity = False

    def set_default_headers(self) -> None:
        """Keep answers out of caches: they name the user and change all the time."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with code and sentence; the reason of an unexpected error stays in the log."""
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        if isinstance(error, LabError):
            self.set_status(error.status)
            answer = error.as_json()
        else:
            phrase = responses.get(status_code, "Error")
            message = "The Lab server had an error; its log tells more."
            if isinstance(error, HTTPError):
                message = error.log_message or phrase
            answer = {"code": phrase.lower().replace(" ", "-"), "message": message}
        self.finish(json.dumps(answer))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log an expected error in one line, an unexpected one with its traceback."""
        if isinstance(value, LabError):
            log.warning("%s: %s %s", self.request.path, value.code, value.detail)
        else:
            super().log_exception(typ, value, tb)
