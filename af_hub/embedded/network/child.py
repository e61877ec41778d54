"""A program in the inner network: started, watched, told to end, and its output rewritten."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL for a program whose network has gone."""

HOLDER_GONE = 75
"""Exit code then: EX_TEMPFAIL of sysexits(3), try again."""

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

LONGEST = 2**18
"""Bytes of a line of output; of a longer one only the length is told."""

_BLOCK = 2**16


@dataclass(frozen=True, slots=True)
class Repeated:
    """Something to be done again and again while a program runs.

    Parameters
    ----------
    every
        Seconds between the end of one time and the beginning of the next.
    task
        What is done.
    """

    every: float
    task: Callable[[], None]


class Child:
    """A program that runs as the only child of this process, which has one thread.

    Parameters
    ----------
    command
        Program and arguments.
    environment
        Its environment; None for this process's own.
    prepare
        Called in the child before the program is executed.
    rewrite
        Applied to each line that the program writes; None lets it write by itself.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None,
        prepare: Callable[[], None],
        rewrite: Callable[[bytes], bytes] | None,
    ) -> None:
        self._signals = _Signals()
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdout=None if rewrite is None else subprocess.PIPE,
            stderr=None if rewrite is None else subprocess.STDOUT,
            # this process has one thread: nothing can hold a lock while it forks
            preexec_fn=prepare,  # noqa: PLW1509
        )
        self._output: _Output | None = None
        if rewrite is not None and self._process.stdout is not None:
            self._output = _Output(self._process.stdout.fileno(), rewrite)

    def watch(self, holder: int, repeated: Repeated | None) -> int:
        """Wait for the program's end and return its exit code as a shell does.

        Parameters
        ----------
        holder
            Readable when the network is gone; the program is ended then, and the code is
            `HOLDER_GONE`.
        repeated
            What is done again and again meanwhile.
        """
        with self._signals:
            try:
                return self._watch(holder, repeated)
            finally:
                if self._output is not None:
                    self._output.read_rest()

    def _watch(self, holder: int, repeated: Repeated | None) -> int:
        poll = select.poll()
        ended = os.pidfd_open(self._process.pid)
        written = -1 if self._output is None else self._output.descriptor
        for descriptor in (ended, holder, self._signals.descriptor, written):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        due = None if repeated is None else time.monotonic() + repeated.every
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(_milliseconds(due))}
            if ended in ready:
                code = self._process.wait()
                return code if code >= 0 else 128 - code
            for number in self._signals.arrived() if self._signals.descriptor in ready else ():
                self._process.send_signal(number)
            if written in ready and self._output is not None and not self._output.read():
                poll.unregister(written)
            if holder in ready:
                self._end()
                return HOLDER_GONE
            if repeated is not None and due is not None and time.monotonic() >= due:
                _try(repeated.task)
                due = time.monotonic() + repeated.every

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _try(task: Callable[[], None]) -> None:
    try:
        task()
    except OSError as error:
        # a disk that is full for a while; what was done the last time is still good
        with suppress(OSError):
            os.write(sys.stderr.fileno(), f"{error}; trying again later\n".encode())


def _milliseconds(due: float | None) -> float | None:
    return None if due is None else max(0.0, (due - time.monotonic()) * 1000)


class _Output:
    """What the program writes, line by line.

    Parameters
    ----------
    descriptor
        End of a pipe, made non-blocking.
    rewrite
        Applied to each line.
    """

    def __init__(self, descriptor: int, rewrite: Callable[[bytes], bytes]) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self._rewrite = rewrite
        self._line = b""
        self._dropped = 0

    def read(self) -> bool:
        """Pass on the whole lines that are there; returns whether more may come."""
        try:
            block = os.read(self.descriptor, _BLOCK)
        except BlockingIOError:
            return True
        *lines, self._line = (self._line + block).split(b"\n")
        for line in lines:
            self._pass_on(line)
        if len(self._line) > LONGEST:
            # half a line could hide the half of a token
            self._dropped += len(self._line)
            self._line = b""
        return bool(block)

    def read_rest(self) -> None:
        """Pass on everything that is still in the pipe, with the last line that never ended."""
        with suppress(OSError):
            while block := os.read(self.descriptor, _BLOCK):
                self._line += block
        for line in self._line.splitlines():
            self._pass_on(line)

    def _pass_on(self, line: bytes) -> None:
        if self._dropped:
            line = b"(a line of more than %d bytes)" % self._dropped
            self._dropped = 0
        with suppress(OSError):  # a full disk loses the log, and must not end the server
            os.write(sys.stdout.fileno(), self._rewrite(line) + b"\n")


class _Signals:
    """Signals as bytes on a descriptor, so that they can be waited for with other things."""

    def __init__(self) -> None:
        self.descriptor, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self._writer)
        for number in FORWARDED:
            signal.signal(number, lambda *_: None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self.descriptor)
        os.close(self._writer)

    def arrived(self) -> bytes:
        """Return the numbers of the signals that have come."""
        return os.read(self.descriptor, 64)
