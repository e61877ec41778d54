"""A program that answers as a single-user server does, in a tenth of the time.

It leaves its environment where tests find it: ``environment.json`` in its folder.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

COMMAND = [sys.executable, __file__]
"""How a spawner starts it."""


class Answer(BaseHTTPRequestHandler):
    """Says which JupyterHub it belongs to."""

    def do_GET(self) -> None:
        """Answer everything alike."""
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", version("jupyterhub"))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    Path("environment.json").write_text(json.dumps(dict(os.environ)))
    url = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    assert url.hostname is not None
    assert url.port is not None
    HTTPServer((url.hostname, url.port), Answer).serve_forever()
