"""Log lines of requests whose address may hold a secret."""

from __future__ import annotations

from typing import Any

from af_hub.iam.answers import scrub


class QuietLog:
    """Mixin that stands before a tornado handler: what it logs of a refusal holds no query.

    JupyterHub hides the values of some names, and in its access log only. Tornado has two more
    lines: one for each refusal, and for an exception that nobody expected one with the whole
    request (``RequestHandler.log_exception``, which comes before the access log).
    """

    # what it uses of tornado's handler, as JupyterHub's is untyped
    request: Any

    def _request_summary(self) -> str:
        return f"{self.request.method} {self._shown()} ({self.request.remote_ip})"

    def log_exception(self, *error: Any) -> None:
        """Log what a request ended in."""
        self.request.uri = self._shown()
        super().log_exception(*error)  # type: ignore[misc]  # tornado's

    def _shown(self) -> str:
        return "/".join(scrub(part, 64) for part in self.request.path.split("/"))
