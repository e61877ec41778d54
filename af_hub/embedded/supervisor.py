"""Starting, watching and stopping the parts of one facility.

Parts run in sessions of their own, so that Ctrl-C in the terminal reaches the supervisor only and
it can stop them in order. A part that dies is started again, with growing pauses; what it had
started (Labs, schedulers) goes on running meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from typing import TYPE_CHECKING

from af_hub.embedded.environment import part_environment
from af_hub.embedded.guard import sweep
from af_hub.embedded.logs import open_log, tail
from af_hub.embedded.reaper import adopt_orphans, reap_for_ever
from af_hub.errors import AFError, SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from af_hub.embedded.layout import Layout
    from af_hub.embedded.parts import Part

log = logging.getLogger(__name__)

PROBE_INTERVAL = 0.1
"""Seconds between two probes of a starting part."""

PAUSES = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the first, second, … start of a part that keeps dying; then the last one."""

STEADY = 60.0
"""Seconds of life after which an earlier death is forgotten."""


@dataclass(slots=True)
class _Running:
    part: Part
    process: Process
    started: float


class Supervisor:
    """Holds the child processes of one facility.

    Parameters
    ----------
    layout
        Paths of the facility.
    instance
        Id of the facility, see `af_hub.embedded.guard`.
    report
        Called with one line for a person.
    """

    def __init__(self, layout: Layout, instance: str, report: Callable[[str], None]) -> None:
        self._layout = layout
        self._instance = instance
        self._report = report
        self._running: dict[str, _Running] = {}
        self._ready: dict[str, asyncio.Event] = {}
        self._watchers: set[asyncio.Task[None]] = set()

    async def start(self, parts: Sequence[Part]) -> None:
        """Start `parts`, each as soon as those that it names in ``after`` are ready.

        Raises
        ------
        SetupError
            ``part-failed`` or ``part-slow`` with the end of the log, of a part that is not
            optional. The other parts keep running; `stop` ends them.
        """
        self._ready |= {part.name: asyncio.Event() for part in parts}
        adopt_orphans()
        self._watch(reap_for_ever())
        self._watch(self._keep_guard())
        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(self._start_in_turn(part))
        except* (AFError, OSError) as failures:
            raise first_of(failures) from None
        for part in parts:
            self._watch(self._keep(part))

    async def stop(self) -> None:
        """Stop every part, then whatever they started."""
        for task in self._watchers:
            task.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        # the hub and the gateway first: they would report the loss of the others
        order = sorted(self._running.values(), key=lambda each: not each.part.after)
        first = [each for each in order if each.part.after]
        await asyncio.gather(*(self._end(each) for each in first))
        await asyncio.gather(*(self._end(each) for each in order if each not in first))
        await asyncio.to_thread(sweep, self._instance)

    def pid(self, name: str) -> int | None:
        """Return the process id of a running part."""
        running = self._running.get(name)
        return running.process.pid if running and running.process.returncode is None else None

    def _watch(self, coroutine: Coroutine[None, None, None]) -> None:
        self._watchers.add(asyncio.create_task(coroutine))

    async def _start_in_turn(self, part: Part) -> None:
        for name in part.after:
            await self._ready[name].wait()
        begin = time.monotonic()
        try:
            await self._launch(part)
        except SetupError as error:
            if not part.optional:
                raise
            self._report(f"Going on without {part.title}: {error}")
            await self._end(self._running[part.name])
        else:
            self._report(f"{part.title} is up ({time.monotonic() - begin:.1f} s)")
        self._ready[part.name].set()

    async def _launch(self, part: Part) -> None:
        with open_log(self._layout.log(part.name)) as stream:
            process = await asyncio.create_subprocess_exec(
                *part.command,
                env=part_environment(self._instance, part.environment),
                cwd=self._layout.root,
                stdin=DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        running = _Running(part, process, time.monotonic())
        self._running[part.name] = running
        await self._wait_ready(running)

    async def _wait_ready(self, running: _Running) -> None:
        part = running.part
        deadline = running.started + part.start_timeout
        path = self._layout.log(part.name)
        while not await part.ready():
            if running.process.returncode is not None:
                raise SetupError(
                    "part-failed",
                    f"{part.title} ended at its start (exit code {running.process.returncode}). "
                    f"The log {path} ends with:\n{tail(path)}",
                )
            if time.monotonic() > deadline:
                raise SetupError(
                    "part-slow",
                    f"{part.title} did not answer within {part.start_timeout:.0f} s. "
                    f"The log {path} ends with:\n{tail(path)}",
                )
            await asyncio.sleep(PROBE_INTERVAL)
        # what answered may be a stranger on its port while the part has died
        if running.process.returncode is not None:
            raise SetupError(
                "part-failed",
                f"{part.title} ended at its start; another program answers at {part.address}. "
                f"The log {path} ends with:\n{tail(path)}",
            )

    async def _keep(self, part: Part) -> None:
        deaths = 0
        while True:
            running = self._running[part.name]
            code = await running.process.wait()
            deaths = 0 if time.monotonic() - running.started > STEADY else deaths
            pause = PAUSES[min(deaths, len(PAUSES) - 1)]
            deaths += 1
            self._report(f"{part.title} ended (exit code {code}); starting it again")
            await asyncio.sleep(pause)
            try:
                await self._launch(part)
                if part.restarted is not None:
                    await part.restarted()
            except (SetupError, OSError) as error:
                self._report(f"{part.title}: {error}")
                await self._end(self._running[part.name])
            else:
                self._report(f"{part.title} is up again")

    async def _keep_guard(self) -> None:
        """Run the guard, a new one whenever it dies."""
        while True:
            with open_log(self._layout.log("guard")) as stream:
                guard = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "af_hub.embedded.guard",
                    self._instance,
                    env=part_environment(self._instance),
                    cwd=self._layout.root,
                    stdin=PIPE,  # the end of this pipe is the end of the parent
                    stdout=stream,
                    stderr=stream,
                    start_new_session=True,
                )
            try:
                await guard.wait()
            except asyncio.CancelledError:
                guard.kill()  # `stop` does its work, and it ignores everything else
                raise
            await asyncio.sleep(PAUSES[0])

    async def _end(self, running: _Running) -> None:
        process = running.process
        if process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(running.part.stop_timeout):
                await process.wait()
        except TimeoutError:
            log.warning("%s did not stop; killing it", running.part.title)
            process.kill()
            await process.wait()


def first_of(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first single error of a task group's failure: one sentence is enough to act."""
    first = failures.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


async def until_signal() -> signal.Signals:
    """Wait for SIGINT, SIGTERM or SIGHUP and return it."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[signal.Signals] = loop.create_future()

    def note(number: signal.Signals) -> None:
        if not arrived.done():
            arrived.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, note, number)
    return await arrived
