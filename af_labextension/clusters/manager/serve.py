"""``run.py hold``: hold one cluster, answer on its socket, write down how it is, end with it.

What to hold is a `job.Job` on stdin.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from .folder import MARK
from .held import CannotStart
from .job import Job
from .messages import LONGEST_REQUEST, BadMessage, line, read_request
from .proc import Identity, kill_marked
from .sockets import listen, peer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from .held import Facts

log = logging.getLogger(__name__)

LOOK_PAUSE = 0.4
"""Seconds between two looks at the cluster."""

SIGN_OF_LIFE = 20.0
"""Seconds between two touches of the state file."""

CLOSE_LIMIT = 20.0
"""Seconds for a graceful end; then all processes are killed."""

AT_ONCE = 16
"""Connections."""

LOG_SIZE = 1024 * 1024
"""Bytes of one log that are sent at most."""


class Holder:
    """Holds one cluster from `run` to its end."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._state = {
            **job.state,
            "private": {"holder": Identity.mine().as_json(), "socket": str(job.socket)},
        }
        self._id = str(job.state["id"])
        # one thread: a class is asked one thing at a time, and a blocking one blocks only this
        self._thread = ThreadPoolExecutor(1)
        self._closing = asyncio.Event()
        self._started = False
        self._reason: str | None = None
        self._server: asyncio.Server | None = None
        self._connections = 0
        self._touched = time.monotonic()
        self._written = ""

    async def run(self) -> None:
        """Hold it until it ends, is closed or has failed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._closing.set)
        self._say(state="starting")
        await self._listen()
        failure = await self._until_closing(asyncio.create_task(self._life()))
        if failure is not None:
            await self._over("failed", failure)
        else:
            self._say(state="stopping")
            await self._close()
            await self._over("stopped", self._reason)

    async def _until_closing(self, life: asyncio.Task[str | None]) -> str | None:
        """Return the reason of a failure; None when it is to be closed."""
        closing = asyncio.create_task(self._closing.wait())
        watching = asyncio.create_task(self._watch_socket())
        await asyncio.wait({life, closing}, return_when=asyncio.FIRST_COMPLETED)
        watching.cancel()
        if life.done():
            closing.cancel()
            return life.result()
        life.cancel()
        return None

    async def _life(self) -> str | None:
        """Start the cluster and look after it; return why it failed, if it did."""
        try:
            await self._call(lambda: self._job.held.start(self._state["scale"]))
        except CannotStart as error:
            return str(error)
        except Exception as error:
            log.exception("start")
            return f"{type(error).__name__}: {str(error)[:300]}"
        self._started = True
        self._state["private"] |= {
            "address": self._job.held.address,
            "dashboard": self._job.held.dashboard,
            "dashboard_token": self._job.held.dashboard_token,
        }
        while True:
            try:
                facts = await self._call(self._job.held.look)
            except Exception as error:  # noqa: BLE001 - busy or over: the next look tells
                log.warning("look: %s", error)
            else:
                if not facts.alive:
                    return "Its scheduler ended."
                self._show(facts)
                if self._reason is not None:
                    return None
            await asyncio.sleep(LOOK_PAUSE)

    def _show(self, facts: Facts) -> None:
        """Write down how it is, and end it when its time is over."""
        now = time.time()
        end = self._job.lifetime.end(float(self._state["created_at"]), facts.idle_since)
        if end is not None and end.at <= now:
            self._reason = end.reason
        self._say(
            state="running",
            workers=facts.workers,
            wanted=facts.wanted,
            cores=facts.cores,
            memory=facts.memory,
            ends_at=None if end is None else end.at,
            ends_why=None if end is None else end.why,
            warning=None if end is None else end.warning(now),
        )

    def _say(self, **changes: Any) -> None:
        """Write the state file if it changes, or as a sign of life."""
        self._state |= changes
        text = json.dumps(self._state)
        late = time.monotonic() - self._touched > SIGN_OF_LIFE
        if text == self._written and not late:
            return
        try:
            if text != self._written:
                self._job.folder.write(self._state)
            else:
                os.utime(self._job.folder.state_file(self._id))
        except OSError as error:
            log.warning("state file: %s", error)
        self._written, self._touched = text, time.monotonic()

    async def _call(self, function: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_LIMIT if self._started else 1.0):
                await self._call(self._job.held.close)
        except Exception as error:  # noqa: BLE001 - a class that blocks or breaks: all is killed next
            log.warning("close: %s %s", type(error).__name__, error)

    async def _over(self, state: str, reason: str | None) -> None:
        """Leave nothing behind but the reason, if there is one."""
        await asyncio.to_thread(kill_marked, MARK, self._id)
        if self._server is not None:
            self._server.close()
        self._job.socket.unlink(missing_ok=True)
        if reason is None:
            self._job.folder.forget(self._id)
            return
        self._state["private"] = {}
        self._say(
            state=state,
            reason=reason,
            ended_at=time.time(),
            workers=0,
            cores=0,
            memory=0,
            ends_at=None,
            ends_why=None,
            warning=None,
        )

    # --- socket ---------------------------------------------------------------

    async def _listen(self) -> None:
        try:
            listening = await asyncio.to_thread(listen, self._job.socket)
        except OSError as error:
            log.warning("socket: %s", error)
            return
        self._server = await asyncio.start_unix_server(
            self._met, sock=listening, limit=LONGEST_REQUEST
        )

    async def _watch_socket(self) -> None:
        """Make the socket anew when somebody cleared its folder, as a new start of the server."""
        while True:
            await asyncio.sleep(1.0)
            if not self._job.socket.exists() and self._job.socket.parent.is_dir():
                if self._server is not None:
                    self._server.close()
                await self._listen()

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: socket.socket = writer.get_extra_info("socket")
        if peer(connection) != os.geteuid() or self._connections >= AT_ONCE:
            writer.close()
            return
        self._connections += 1
        try:
            async with asyncio.timeout(60.0):
                request = read_request(await reader.readuntil(b"\n"))
                writer.write(line(await self._answer(request)))
                await writer.drain()
        except (BadMessage, TimeoutError, EOFError, OSError, asyncio.LimitOverrunError) as error:
            log.info("request: %s", type(error).__name__)
        finally:
            self._connections -= 1
            writer.close()

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "close":
            self._closing.set()
            self._say(state="stopping")
            return {"done": {}}
        if not self._started:
            return _refused("not-running", "The cluster is not running yet. Try again in a moment.")
        try:
            return {"done": await getattr(self, f"_do_{request['do']}")(request)}
        except Exception as error:
            log.exception("%s", request["do"])
            return _refused("cluster-error", f"{type(error).__name__}: {str(error)[:300]}")

    async def _do_scale(self, request: dict[str, Any]) -> dict[str, Any]:
        scale = request["scale"]
        await self._call(lambda: self._job.held.scale(scale))
        self._state["scale"] = scale
        self._show(await self._call(self._job.held.look))
        return self._state

    async def _do_logs(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        found = await self._call(self._job.held.logs)
        return {name: text[-LOG_SIZE:] for name, text in found.items()}

    async def _do_security(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return {
            "address": self._job.held.address,
            "security": await self._call(self._job.held.security),
        }


def _refused(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def main() -> int:
    """Hold a cluster."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s"
    )
    os.umask(0o077)
    job = Job.read(sys.stdin.buffer.read())
    asyncio.run(Holder(job).run())
    sys.stderr.flush()
    # threads of a class that hangs would keep the process
    os._exit(0)
