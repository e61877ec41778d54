"""An XRootD client without TLS that says what no right client says: a token in clear.

The messages are those of the *XRootD Client/Server Protocol Reference* 5.2 (handshake,
``kXR_protocol``, ``kXR_login``, ``kXR_auth``) and of XRootD's ``XrdSecProtocolztn.cc``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket

HELLO: Final = struct.pack("!5i", 0, 0, 0, 4, 2012)
AUTH, PROTOCOL, LOGIN = 3000, 3006, 3007
ERROR = 4003

TLS_REQUIRED: Final = 3028
"""``kXR_TLSRequired``."""

TLS_FOR: Final = {"data": 0x01000000, "login": 0x04000000}
"""``kXR_tlsData`` and ``kXR_tlsLogin``: for what a server wants TLS."""


@dataclass(frozen=True)
class Said:
    """What a server answered.

    Parameters
    ----------
    status
        ``kXR_ok`` (0), ``kXR_error`` (4003) or another.
    body
        What follows.
    """

    status: int
    body: bytes

    @property
    def error(self) -> int | None:
        """Number of the error, None if it is none."""
        return int.from_bytes(self.body[:4]) if self.status == ERROR else None


class PlainClient:
    """A connection without TLS.

    Parameters
    ----------
    line
        Connected to a server.

    Attributes
    ----------
    tls_for
        Those of `TLS_FOR` for which the server wants TLS.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        line.sendall(HELLO)
        self._answer()
        # protocol 5.2, no flag: neither able nor willing to use TLS
        said = self._ask(PROTOCOL, struct.pack("!i12x", 0x520))
        flags = int.from_bytes(said.body[4:8])
        self.tls_for = {name for name, flag in TLS_FOR.items() if flags & flag}

    def log_in(self) -> Said:
        """Say who is there; a server with a security protocol answers which."""
        return self._ask(LOGIN, struct.pack("!i8s4B", 1, b"alice", 0, 0, 5, 0))

    def send_token(self, token: str) -> Said:
        """Authenticate by ``ztn``."""
        text = token.encode() + b"\0"
        said = struct.pack("!4sBc2xH", b"ztn", 0, b"T", len(text)) + text
        return self._ask(AUTH, struct.pack("!12x4s", b"ztn"), said)

    def _ask(self, number: int, parameters: bytes, data: bytes = b"") -> Said:
        self._line.sendall(struct.pack("!2sH16sI", b"\0\1", number, parameters, len(data)) + data)
        return self._answer()

    def _answer(self) -> Said:
        _, status, length = struct.unpack("!2sHI", self._read(8))
        return Said(status, self._read(length))

    def _read(self, count: int) -> bytes:
        read = b""
        while len(read) < count:
            if not (piece := self._line.recv(count - len(read))):
                raise ConnectionError("the server has ended the connection")
            read += piece
        return read
