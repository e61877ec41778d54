"""Asking the API server as one of the cluster's own users. Standard library only."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Api:
    """One user's way to the API server.

    Parameters
    ----------
    server
        Its address.
    pki
        Folder with ``ca.crt``, and certificate and key of the user.
    user
        Name of these two files.
    """

    def __init__(self, server: str, pki: Path, user: str) -> None:
        self._host = urlsplit(server).netloc
        self._context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._context.load_cert_chain(pki / f"{user}.crt", pki / f"{user}.key")

    def text(self, path: str, *, timeout: float = 5.0) -> str:
        """Return the answer to a GET request.

        Raises
        ------
        OSError
            The server does not answer, or refuses.
        """
        line = self._line(timeout)
        try:
            line.request("GET", path)
            answer = line.getresponse()
            body = answer.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{path}: {error!r}") from error
        finally:
            line.close()
        if answer.status != http.client.OK:
            raise ConnectionError(f"{path}: {answer.status} {body[:200]}")
        return body

    def json(self, path: str, *, timeout: float = 5.0) -> Any:
        """Return the answer to a GET request, decoded."""
        return json.loads(self.text(path, timeout=timeout))

    def watch(self, path: str, version: str, *, seconds: int = 240) -> Iterator[dict[str, Any]]:
        """Give each change since a version of a list, until the server ends the watch.

        Raises
        ------
        OSError
            The server does not answer, refuses, or dies.
        """
        line = self._line(seconds + 30)
        try:
            query = f"watch=true&timeoutSeconds={seconds}&resourceVersion={version}"
            line.request("GET", f"{path}?{query}")
            answer = line.getresponse()
            if answer.status != http.client.OK:
                raise ConnectionError(f"{path}: {answer.status}")
            while text := answer.readline():
                yield json.loads(text)
        except http.client.HTTPException as error:
            raise ConnectionError(f"{path}: {error!r}") from error
        finally:
            line.close()

    def _line(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, timeout=timeout, context=self._context)
