"""A reader opens many connections at once; none of them may wait for the kernel's second try."""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.storage import Storage

CONNECTIONS = 60
RETRY = 0.95
"""Seconds; Linux sends a lost SYN again after one."""


def test_no_connection_waits_a_second_when_many_are_opened_at_once(storage: Storage) -> None:
    begin = time.monotonic()
    waiting = set()
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            line = stack.enter_context(socket.socket())
            line.setblocking(False)
            line.connect_ex(("127.0.0.1", storage.config.port))
            selector.register(line, selectors.EVENT_WRITE)
            waiting.add(line)
        while waiting and time.monotonic() - begin < RETRY:
            for key, _ in selector.select(0.1):
                selector.unregister(key.fileobj)
                waiting.discard(key.fileobj)
    assert not waiting, f"{len(waiting)} of {CONNECTIONS} were dropped"
