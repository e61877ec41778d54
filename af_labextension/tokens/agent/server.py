"""The UNIX socket on which an oidc-agent is expected (``OIDC_SOCK``)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import struct
from typing import TYPE_CHECKING

from af_labextension.errors import FileTrouble
from af_labextension.owner_file import prepare_folder
from af_labextension.repeating import Repeating

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from .messages import Request

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds that a program has to put its request; programs send it at once."""

AT_ONCE = 256
"""Connections served at a time; more are closed at once, so that a flood costs no descriptors."""

LONGEST_PATH = 107
"""Bytes of a socket's path (``sun_path`` in unix(7))."""

_CREDENTIALS = struct.Struct("3i")


LOOK_PAUSE = 30.0
"""Seconds until a socket that could not be made, or that somebody removed, is made again."""


class AgentSocket:
    """Answer programs of the same user from `start` to `stop`.

    Parameters
    ----------
    path
        Where programs look.
    answer
        Gives the answer to a request.
    patience
        Seconds for a whole request.
    at_once
        Largest number of connections.
    """

    def __init__(
        self,
        path: Path,
        answer: Callable[[Request], Awaitable[bytes]],
        *,
        patience: float = PATIENCE,
        at_once: int = AT_ONCE,
    ) -> None:
        self.path = path
        self._answer = answer
        self._patience = patience
        self._at_once = at_once
        self._server: asyncio.Server | None = None
        self._inode: tuple[int, int] | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._looking = Repeating("agent-socket", self.look, pause=LOOK_PAUSE)
        self.trouble: FileTrouble | None = None

    def start(self) -> None:
        """Begin to answer."""
        self._looking.start()

    async def stop(self) -> None:
        """End, and take the socket away."""
        await self._looking.stop()
        await self._close()

    async def look(self) -> float:
        """Listen, unless that is so already; return the seconds until another look is due."""
        try:
            if not await asyncio.to_thread(self._is_ours):
                await self._close()
                await self.listen()
        except FileTrouble as error:
            if self.trouble is None:
                log.warning("agent: %s %s", error.message, error.detail)
            self.trouble = error
        else:
            self.trouble = None
        return LOOK_PAUSE

    async def listen(self) -> None:
        """Begin to listen.

        Raises
        ------
        FileTrouble
            ``agent-socket``: the path is too long, taken, or its folder cannot be used.
        """
        try:
            listening = await asyncio.to_thread(self._bind)
        except OSError as error:
            raise FileTrouble(
                "agent-socket",
                f"Programs that ask oidc-agent get no tokens: {self.path} cannot be used"
                f" ({error.strerror or error}).",
                detail=type(error).__name__,
            ) from error
        self._server = await asyncio.start_unix_server(self._met, sock=listening, limit=2**18)
        log.info("agent socket %s", self.path)

    async def _close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        self._server = None
        await asyncio.to_thread(self._unlink_own)

    def _bind(self) -> socket.socket:
        """Make the socket, closed to others from its first moment."""
        if len(os.fsencode(self.path)) > LONGEST_PATH:
            raise OSError(None, f"the path has more than {LONGEST_PATH} bytes")
        prepare_folder(self.path.parent)
        if _is_served(self.path):
            raise OSError(None, "another agent listens there")
        # a name of its own first: between bind and chmod nobody knows it
        name = f".{secrets.token_hex(4)}"
        fresh = self.path.with_name(name)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(str(fresh))
            fresh.chmod(0o600)
            listening.listen(128)
            listening.setblocking(False)
            fresh.rename(self.path)
            found = self.path.lstat()
            self._inode = (found.st_dev, found.st_ino)
        except BaseException:
            listening.close()
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise
        return listening

    def _is_ours(self) -> bool:
        """Tell whether the socket is the one that we made."""
        try:
            found = self.path.lstat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._inode

    def _unlink_own(self) -> None:
        """Remove the socket unless another Lab has put its own there."""
        with contextlib.suppress(OSError):
            if self._is_ours():
                self.path.unlink()
        self._inode = None

    def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a program, unless it is a stranger or one too many."""
        peer = _peer(writer)
        if peer != os.geteuid() or len(self._open) >= self._at_once:
            log.warning("agent: connection refused (user %s, %d open)", peer, len(self._open))
            writer.close()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one program; what is not of the protocol gets no answer."""
        from .messages import BadMessage  # noqa: PLC0415 - not in each start

        try:
            await self._talk(reader, writer)
        except BadMessage as error:
            log.info("agent: request refused: %s", error)
        except (TimeoutError, EOFError, OSError) as error:
            log.info("agent: connection lost: %s", type(error).__name__)
        except Exception:  # a fault of ours costs one request
            log.exception("agent")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # with the first program that asks: most Labs never need the library of boxes
        from .boxes import KEY_SIZE, Conversation  # noqa: PLC0415
        from .messages import read_request  # noqa: PLC0415

        async with asyncio.timeout(self._patience):
            conversation = Conversation()
            conversation.meet(await reader.readexactly(KEY_SIZE))
            writer.write(conversation.key)
            await writer.drain()
            request = read_request(conversation.open(await _message(reader)))
        answer = await self._answer(request)
        async with asyncio.timeout(self._patience):
            writer.write(conversation.seal(answer))
            await writer.drain()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Collect one message, however it was cut on its way."""
    from .boxes import message_size  # noqa: PLC0415

    gathered = b""
    size: int | None = None
    while size is None or len(gathered) < size:
        more = await reader.read(65536)
        if not more:
            raise EOFError
        gathered = (gathered + more).lstrip(b"\0")
        size = message_size(gathered)
    if gathered[size:].strip(b"\0"):
        from .messages import BadMessage  # noqa: PLC0415

        raise BadMessage("more than one request")
    return gathered[:size]


def _peer(writer: asyncio.StreamWriter) -> int | None:
    """Return the user at the other end, as the kernel knows it."""
    connection = writer.get_extra_info("socket")
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return None
    return int(_CREDENTIALS.unpack(raw)[1])


def _is_served(path: Path) -> bool:
    """Tell whether somebody listens there; what a dead Lab left may be replaced.

    Raises
    ------
    OSError
        Something other than a socket is there.
    """
    if not os.path.lexists(path):
        return False
    if not path.is_socket():
        raise FileExistsError(None, "something else is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        return True
