"""A hub whose login a test can end and a browser can begin again, for a Lab in its own process."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from testbed.lab_hub import lab_config
from testbed.unsigned import unsigned_token

if TYPE_CHECKING:
    from collections.abc import Iterator

DOOR = {"name": "d", "title": "D", "url": "https://127.0.0.1:1/store", "audience": "storage"}
OVER = {"code": "session-over", "message": "Your login has ended. Log in again at the hub."}


@dataclass
class LoginHub:
    """What the hub answers.

    Parameters
    ----------
    life
        Seconds that tokens live.
    logins
        How often the user has logged in; tokens say it in the claim ``login``.
    over
        Whether the login has ended.
    given
        Every token that was given out.
    """

    life: float = 6.0
    logins: int = 1
    over: bool = False
    url: str = ""
    given: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return status and body for a GET."""
        if path.endswith("/login"):
            self.logins, self.over = self.logins + 1, False
            return 200, {"logged": "in"}
        if path.endswith("/lab"):
            pages = {"home_url": f"{self.url}/hub/home", "login_url": f"{self.url}/hub/login"}
            return 200, lab_config(storage=[DOOR], hub=pages)
        if self.over:
            return 403, OVER
        now = time.time()
        token = unsigned_token(
            iat=now, exp=now + self.life, login=self.logins, jti=len(self.given)
        ).decode()
        self.given.append(token)
        return 200, {"access_token": token, "expires_in": self.life, "scope": "storage.read:/"}


@contextmanager
def login_hub() -> Iterator[LoginHub]:
    """Run one."""
    hub = LoginHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = hub.answer(self.path.partition("?")[0])
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield hub
        finally:
            server.shutdown()
