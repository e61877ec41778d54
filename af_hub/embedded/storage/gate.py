"""The token check in front of WebDAV, as WSGI middleware."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from af_hub.embedded.storage.grants import Grants, PathError, clean_path
from af_hub.embedded.storage.rules import METHODS, Request, refusal
from af_hub.errors import AFError, IAMUnavailable, IdentityError, Refusal

if TYPE_CHECKING:
    from pathlib import Path

    from af_hub.embedded.storage.keys import Keys

log = logging.getLogger("af_hub.storage")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

GRANTS = "af_hub.storage.grants"
"""Key in the WSGI environment for what the token of this request gives."""

SHARE = "/store"
"""Where the files appear; also the beginning of every path in a scope."""

SENTENCES = {
    "token-expired": "The token has expired; get a new one.",
    "token-not-yet-valid": "The token is not valid yet. Is a clock wrong?",
    "token-audience": "The token is for another service.",
    "token-issuer": "The token comes from another issuer.",
    "token-signature": "The token's signature is wrong.",
    "token-key-unknown": "The token is signed with a key that the issuer does not publish.",
}


class Gate:
    """Lets a request through if its bearer token allows it.

    Parameters
    ----------
    app
        WebDAV.
    keys
        Verifies tokens.
    root
        Folder that is shown as `SHARE`.
    """

    def __init__(self, app: WSGIApp, keys: Keys, root: Path) -> None:
        self._app = app
        self._keys = keys
        self._root = root

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Judge one request."""
        subject = "-"

        def start_and_log(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            # no query, no header: tokens travel there
            path = quote(environ["PATH_INFO"][:500], errors="replace")
            log.info("%s %s %s%s %s", subject, method, environ["SCRIPT_NAME"], path, status[:3])
            return start_response(status, headers, *rest)

        method = environ["REQUEST_METHOD"][:20]
        try:
            claims = self._claims(environ)
            subject = re.sub(r"[^\x21-\x7e]", "?", str(claims.get("sub"))[:100])
            self._judge(environ, method, Grants.from_claims(claims))
        except AFError as error:
            return _refuse(error, start_and_log)
        return self._app(environ, start_and_log)

    def _claims(self, environ: Environ) -> dict[str, Any]:
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            # never from the query: addresses end in logs and histories
            raise IdentityError("token-missing", "A bearer token is needed.")
        return self._keys.verify(token.strip())

    def _judge(self, environ: Environ, method: str, grants: Grants) -> None:
        if method not in METHODS:
            raise Refusal("method", f"{method} is not served here.", status=405)
        path = _path(environ["PATH_INFO"].encode("latin-1"))
        depth = environ.get("HTTP_DEPTH", "infinity").strip().lower()
        if method == "PROPFIND" and depth not in {"0", "1"}:
            raise Refusal("depth", "List one level at a time: Depth 0 or 1.")
        destination = None
        if method in {"COPY", "MOVE"}:
            destination = _destination(environ)
            environ["HTTP_DESTINATION"] = (
                f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}{quote(destination)}"
            )
        reason = refusal(Request(method, path, destination, depth), grants, self._exists)
        if reason is not None:
            raise Refusal(
                "scope", f"Your token does not allow {reason}. It allows: {grants}.", status=403
            )
        # what was judged is what is served
        environ["PATH_INFO"] = path.encode().decode("latin-1")
        environ[GRANTS] = grants

    def _exists(self, path: str) -> bool:
        return (self._root / path.removeprefix(SHARE).lstrip("/")).exists()


def _path(raw: bytes) -> str:
    try:
        return clean_path(raw.decode("utf-8"))
    except (UnicodeDecodeError, PathError) as error:
        reason = str(error) if isinstance(error, PathError) else "the path is not UTF-8"
        raise Refusal("path", f"Bad request: {reason}.", status=400) from error


def _destination(environ: Environ) -> str:
    parts = urlsplit(environ.get("HTTP_DESTINATION", ""))
    if parts.netloc not in {"", environ.get("HTTP_HOST")} or not parts.path:
        raise Refusal("destination", "The Destination must be on this server.", status=400)
    return _path(unquote(parts.path, errors="surrogateescape").encode("utf-8", "surrogateescape"))


def _refuse(error: AFError, start_response: StartResponse) -> Iterable[bytes]:
    status = HTTPStatus(error.status)
    headers = []
    if isinstance(error, IdentityError):
        status = HTTPStatus.UNAUTHORIZED
        challenge = 'Bearer realm="storage"'
        if error.code != "token-missing":  # RFC 6750: no error code without a token
            challenge += f', error="invalid_token", error_description="{error.code}"'
        headers.append(("WWW-Authenticate", challenge))
    elif error.code == "scope":
        headers.append(("WWW-Authenticate", 'Bearer realm="storage", error="insufficient_scope"'))
    elif isinstance(error, IAMUnavailable):
        headers.append(("Retry-After", "30"))
    sentence = SENTENCES.get(error.code, error.message)
    body = f"{sentence} [{error.code}]\n".encode()
    headers += [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]
