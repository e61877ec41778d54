"""Preload of a Dask scheduler and of its workers: the last two steps of the user's token.

It runs inside the process, is given by its path and needs `distributed` only, so that a worker's
environment does not need this package.

The gateway puts a new token to the scheduler over the TLS channel that it has for its messages. The
scheduler passes it on over the connections that its workers have opened to it, so nobody dials a
worker. What a worker is sent there it handles in order: a worker that comes late has the token
before its first task. Scheduler and workers each write a file of their own, so they need no common
folder, and set ``BEARER_TOKEN_FILE`` to its path.

A token is taken and passed on only where every way into the scheduler is encrypted. It is in the
memory of these processes and in their files: never in an environment, an argument, a log or Dask's
configuration.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin
from tornado import web

logger = logging.getLogger("distributed.af.token")

FILE = "bearer-token"
"""Name of the file in the folder that Dask has made for the process."""
GIVE, KEPT = "af-token", "af-token-kept"
"""Messages: from scheduler to worker, and the worker's answer. `GIVE` also stands in what a worker
tells about itself when it registers: one that does not know the message would end by it."""
ROUTE = "/api/af/token"
"""Path on the scheduler's message channel."""
PATIENCE = 2.0
"""Seconds that workers have to answer; one whose thread is held by a computation answers later."""
TOKEN = re.compile(r"[!-~]{1,16384}")


class TokenFile:
    """The file of one process, mode 0600, always whole.

    Parameters
    ----------
    folder
        The process' own.
    """

    def __init__(self, folder: str) -> None:
        self.path = Path(folder).absolute() / FILE

    def write(self, token: str) -> bool:
        """Replace the token; tell whether it is written. If not, the last one stays."""
        temporary = None
        try:
            # mode 0600 from its first moment
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{FILE}-")
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(token)
            Path(temporary).replace(self.path)
        except OSError as error:
            logger.warning("The new token cannot be written: %s", error.strerror)
            if temporary is not None:
                with suppress(OSError):
                    Path(temporary).unlink()
            return False
        return True

    def announce(self) -> None:
        """Tell programs of this process, and those that they start, where the token is."""
        os.environ["BEARER_TOKEN_FILE"] = str(self.path)


# --- in a worker ------------------------------------------------------------------


def take_part(worker: Any) -> None:
    """Take tokens from the scheduler; to be called before the worker registers."""
    file = TokenFile(worker.local_directory)
    file.announce()

    def take(token: str, number: int) -> None:
        safe = worker.batched_stream.comm.peer_address.startswith("tls://")
        if not safe:
            logger.warning("A token came over a connection without TLS; it is not kept.")
        kept = safe and file.write(token)
        worker.batched_send({"op": KEPT, "number": number, "kept": kept})

    worker.stream_handlers[GIVE] = take
    worker.startup_information[GIVE] = lambda _: True


# --- in the scheduler -------------------------------------------------------------


class PlainText(Exception):
    """A way into the scheduler is not encrypted."""


class TokenRelay(SchedulerPlugin):
    """Keeps the last token and passes it on.

    Parameters
    ----------
    scheduler
        The scheduler.
    """

    name = "af-token"

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._file = TokenFile(scheduler.local_directory)
        self._file.announce()
        self._token = ""
        self._number = 0
        self._answers: dict[str, tuple[int, bool]] = {}
        self._answered = asyncio.Event()
        scheduler.stream_handlers[KEPT] = self._on_answer

    async def give(self, token: str) -> dict[str, int]:
        """Take a new token, and wait until the workers have it.

        Returns
        -------
        dict
            ``asked``: workers that take tokens, and the scheduler itself. ``kept``, ``failed``: how
            many of them have it, and cannot write it. ``other``: workers that take none.

        Raises
        ------
        PlainText
            Nothing was kept or sent.
        """
        if not self._encrypted():
            raise PlainText
        self._token = token
        self._number += 1
        number = self._number
        workers = list(self._scheduler.workers)
        asked = [one for one in workers if self._send(one)]
        own = self._file.write(token)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._until_answered(asked, number), PATIENCE)
        said = [own, *(self._answer(one, number) for one in asked)]
        return {
            "asked": len(said),
            "kept": said.count(True),
            "failed": said.count(False),
            "other": len(workers) - len(asked),
        }

    def add_worker(self, scheduler: Any, worker: str) -> None:  # noqa: ARG002
        """Give the last token to a new worker, before its first task."""
        if self._token and self._encrypted():
            self._send(worker)

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:  # noqa: ARG002
        """Forget a worker that went."""
        self._answers.pop(worker, None)
        self._answered.set()

    def _encrypted(self) -> bool:
        # not only what this worker says of itself: a second listener without TLS takes workers too
        return all(one.contact_address.startswith("tls://") for one in self._scheduler.listeners)

    def _send(self, worker: str) -> bool:
        state = self._scheduler.workers.get(worker)
        if state is None or not state.extra.get(GIVE):
            return False
        message = {"op": GIVE, "token": self._token, "number": self._number}
        self._scheduler.worker_send(worker, message)
        return True

    def _on_answer(self, worker: str = "", number: int = 0, kept: bool = False, **_: Any) -> None:
        self._answers[worker] = (number, kept)
        self._answered.set()

    def _answer(self, worker: str, number: int) -> bool | None:
        """Return what a worker said about this token or a later one; None: nothing yet."""
        about, kept = self._answers.get(worker, (0, False))
        return kept if about >= number else None

    async def _until_answered(self, workers: list[str], number: int) -> None:
        while any(
            self._answer(one, number) is None for one in workers if one in self._scheduler.workers
        ):
            self._answered.clear()
            await self._answered.wait()


class TokenHandler(web.RequestHandler):
    """``PUT /api/af/token`` with ``{token}``, by the gateway."""

    def initialize(self, relay: TokenRelay, secret: str) -> None:
        """Learn what belongs to the scheduler."""
        self._relay = relay
        self._expected = f"token {secret}".encode()

    async def put(self) -> None:
        """Answer as `TokenRelay.give`; 409 without TLS."""
        given = self.request.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self._expected):
            raise web.HTTPError(403)
        try:
            token = json.loads(self.request.body)["token"]
        except (ValueError, KeyError, TypeError):
            token = None
        if not isinstance(token, str) or not TOKEN.fullmatch(token):
            raise web.HTTPError(400)
        if self.request.protocol != "https":
            raise web.HTTPError(409)
        try:
            self.finish(await self._relay.give(token))
        except PlainText:
            raise web.HTTPError(409) from None


def dask_setup(server: Any) -> None:
    """Take part in a process; Dask calls it when the process starts."""
    if not isinstance(server, Scheduler):
        take_part(server)
        return
    relay = TokenRelay(server)
    server.add_plugin(relay)
    service = server.services["gateway"]
    known = {"relay": relay, "secret": service.gateway.token}
    service.app.add_handlers(".*", [(ROUTE, TokenHandler, known)])
