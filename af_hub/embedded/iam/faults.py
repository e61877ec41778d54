"""Faults in front of a door, where the switches ask for them."""

from __future__ import annotations

import errno
import io
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from af_hub.embedded.iam.switches import PATHS, Control, Fault

if TYPE_CHECKING:
    from af_hub.embedded.iam.switches import Endpoint

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_BODY_LIMIT = 256 * 1024
_TICK = 0.05


class Faulty:
    """Hands calls on to `app`, or lets them go wrong; notes each of them.

    Parameters
    ----------
    app
        The door.
    control
        The switches.
    """

    def __init__(self, app: WSGIApp, control: Control) -> None:
        self._app = app
        self._control = control

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Serve one request (PEP 3333).

        Raises
        ------
        ConnectionResetError
            The server ends the connection without an answer.
        """
        at = PATHS.get(environ.get("PATH_INFO", ""))
        if at is None:
            return self._app(environ, start_response)
        grant = _grant_of(environ) if at == "token" else ""
        fault = self._control.strike(at, grant)

        def note_and_start(status: str, *rest: Any) -> Any:
            # before the caller can see the answer: a test that counts has it at once
            self._control.note(at, grant, int(status[:3]), fault)
            return start_response(status, *rest)

        if fault is None:
            return self._app(environ, note_and_start)
        if fault.kind == "slow":
            time.sleep(fault.seconds)
            return self._app(environ, note_and_start)
        if fault.kind == "cut":
            return _half(self._app(environ, note_and_start))
        if fault.kind == "echo":
            return _echo(environ, fault, note_and_start)
        if fault.kind in {"status", "garbage"}:
            return _made_up(fault, note_and_start)
        self._no_answer(environ, at, grant, fault)
        raise ConnectionResetError(errno.ECONNRESET, "a test asked for it")

    def _no_answer(self, environ: dict[str, Any], at: Endpoint, grant: str, fault: Fault) -> None:
        self._control.note(at, grant, 0, fault)
        if fault.kind == "lost":
            list(self._app(environ, lambda *_: None))
        if fault.kind == "hang":
            serial, end = self._control.switches().serial, time.monotonic() + fault.seconds
            while time.monotonic() < end and self._control.switches().serial == serial:
                if self._control.closed.wait(_TICK):
                    return


def _made_up(fault: Fault, start_response: Callable[..., Any]) -> Iterator[bytes]:
    headers = [("Content-Type", fault.content_type), ("Cache-Control", "no-store")]
    if fault.kind == "status":
        if fault.retry_after is not None:
            headers.append(("Retry-After", str(fault.retry_after)))
        body = b"<html><body>The service is not available</body></html>"
        headers[0] = ("Content-Type", "text/html")
        start_response(f"{fault.status} Fault", [*headers, ("Content-Length", str(len(body)))])
        return iter([body])
    body = fault.body.encode()
    length = str(len(body) * fault.repeat)
    start_response("200 OK", [*headers, ("Content-Length", length)])
    return (body for _ in range(fault.repeat))


def _echo(
    environ: dict[str, Any], fault: Fault, start_response: Callable[..., Any]
) -> Iterator[bytes]:
    sent = parse_qs(_body_of(environ).decode("latin-1"))
    words = [fault.body, environ.get("HTTP_AUTHORIZATION", "")]
    words += [value for values in sent.values() for value in values]
    text = " ".join(word for word in words if word)
    body = json.dumps({"error": fault.error, "error_description": text}).encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("WWW-Authenticate", f'Bearer error="{fault.error}", error_description="{text}"'),
    ]
    start_response(f"{fault.status} Fault", headers)
    return iter([body])


def _half(body: Iterable[bytes]) -> Iterator[bytes]:
    whole = b"".join(body)
    yield whole[: len(whole) // 2]
    raise ConnectionResetError(errno.ECONNRESET, "a test asked for it")


def _grant_of(environ: dict[str, Any]) -> str:
    form: dict[str, list[str]] = parse_qs(_body_of(environ).decode("latin-1"))
    return form.get("grant_type", [""])[0][:128]


def _body_of(environ: dict[str, Any]) -> bytes:
    """Return what was posted, and put it back for the door."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if not 0 < length <= _BODY_LIMIT:
        return b""
    body: bytes = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = io.BytesIO(body)
    return body
