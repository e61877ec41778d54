"""A terminal and a kernel of a user's Lab in a running facility."""

from __future__ import annotations

import json
import subprocess
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psutil
from tornado.httpclient import HTTPRequest

from testbed.websocket import websocket

if TYPE_CHECKING:
    from testbed.facility import User


@dataclass
class Terminal:
    """Where a user types commands.

    Parameters
    ----------
    user
        Whose Lab runs.
    """

    user: User

    @cached_property
    def server(self) -> psutil.Process:
        """The Lab's server."""
        for pid in sorted(self.user.facility.processes):
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                environment = process.environ()
                if (
                    environment.get("AF_USER") == self.user.name
                    and "AF_TOKEN_DIR" in environment
                    and "JPY_PARENT_PID" not in environment  # a kernel
                ):
                    return process
        raise AssertionError(f"{self.user.name} has no Lab")

    @cached_property
    def environment(self) -> dict[str, str]:
        """What terminals and kernels inherit from the Lab's server."""
        return dict(self.server.environ())

    def run(self, *command: str, patience: float = 120) -> str:
        """Run a command; it must succeed."""
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=self.environment["HOME"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=patience,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


async def run_in_kernel(url: str, token: str, code: str) -> str:
    """Run code in a kernel, as a notebook does; return what it printed.

    Parameters
    ----------
    url
        The kernel's address, ``ws://…/api/kernels/<id>``.
    token
        Opens the Lab.
    """
    number = uuid.uuid4().hex
    header = {"msg_id": number, "session": number, "username": "", "version": "5.3", "date": ""}
    request: dict[str, Any] = {
        "header": {**header, "msg_type": "execute_request"},
        "parent_header": {},
        "metadata": {},
        "content": {"code": code, "silent": False, "store_history": True, "allow_stdin": False},
        "channel": "shell",
        "buffers": [],
    }
    headers = {"Authorization": f"token {token}"}
    printed: str = ""
    async with websocket(HTTPRequest(f"{url}/channels", headers=headers)) as socket:
        await socket.write_message(json.dumps(request))
        while True:
            message = await socket.read_message()
            assert message is not None, printed
            told = json.loads(message)
            if told["parent_header"].get("msg_id") != number or told["channel"] != "iopub":
                continue
            content: dict[str, Any] = told["content"]
            printed += str(content.get("text", "")) + "\n".join(content.get("traceback", ()))
            if content.get("execution_state") == "idle":
                return printed
