"""``analysis-facility run``: a whole facility from one process."""

from __future__ import annotations

import asyncio
import errno
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from af_hub.embedded import screen
from af_hub.embedded.assembly import assemble, uses_own_storage, wire
from af_hub.embedded.filling import fill_storage
from af_hub.embedded.guard import sweep
from af_hub.embedded.instance import instance_id, instance_lock
from af_hub.embedded.interrupts import go_on
from af_hub.embedded.ports import own_addresses, require_public_port
from af_hub.embedded.rucio.part import own_rucio
from af_hub.embedded.setup import prepare, prepare_rucio
from af_hub.embedded.supervisor import Supervisor, first_of, until_signal
from af_hub.embedded.wiring import is_every_address, is_loopback
from af_hub.errors import AFError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from af_hub.embedded.layout import Layout
    from af_hub.embedded.parts import Part
    from af_hub.embedded.wiring import Wiring

NO_SPACE = 16 * 2**20
"""Bytes of free space below which a failed start is put down to a full disk."""


@dataclass(frozen=True, slots=True)
class Options:
    """What ``analysis-facility run`` was asked for.

    Parameters
    ----------
    layout
        The data folder.
    port
        Port that users open.
    host
        Address that it is bound to.
    facility_file
        An administrator's own facility file, if any.
    allow_public_demo
        Whether another address than loopback may be bound although the passwords are public.
    """

    layout: Layout
    port: int = 8000
    host: str = "127.0.0.1"
    facility_file: Path | None = None
    allow_public_demo: bool = False


def run(options: Options) -> None:
    """Start a facility, keep it running, and stop it on SIGINT, SIGTERM or SIGHUP.

    Raises
    ------
    AFError
        It cannot be started; nothing of it runs any more.
    KeyboardInterrupt
        It was interrupted before it had started a part.
    """
    check_host(options)
    begin = time.monotonic()
    with _space_on(options.layout):
        options.layout.create()
        with instance_lock(options.layout):
            instance = instance_id(options.layout)
            if left := sweep(instance):
                screen.step(f"Ended {left} processes that an earlier run had left behind")
            require_public_port(options.host, options.port)
            prepare(screen.step, rucio=False)
            wiring = wire(
                options.layout,
                host=options.host,
                port=options.port,
                facility_file=options.facility_file,
            )
            if own_rucio(wiring):
                prepare_rucio(screen.step)
            screen.warn_if_open(wiring)
            screen.say_data(wiring)
            asyncio.run(_serve(wiring, begin))


def check_host(options: Options) -> None:
    """Refuse to show the demo users' public passwords to a network unless asked to.

    Raises
    ------
    SetupError
        ``public-demo``, or ``host-needed`` for "every address": pages, logins and Labs have to
        name one that browsers can open.
    """
    if not is_loopback(options.host) and not options.allow_public_demo:
        raise SetupError(
            "public-demo",
            f"--host {options.host} would let others in, and the demo users' passwords are "
            "public. On a network that you trust, add --allow-public-demo.",
        )
    if is_every_address(options.host):
        raise SetupError(
            "host-needed",
            f"--host {options.host} is every address of this machine, but logins need the one "
            f"that browsers open: --host {' or --host '.join(own_addresses()) or 'ADDRESS'}",
        )


async def _serve(wiring: Wiring, begin: float) -> None:
    supervisor = Supervisor(wiring.layout, wiring.instance, screen.step)
    stopped = asyncio.create_task(until_signal())
    # now it listens: from here on a signal ends the start in order, and never by an exception
    # in the middle of it
    await asyncio.sleep(0)
    go_on()
    parts = assemble(wiring)
    starting = asyncio.create_task(_start(supervisor, wiring, parts))
    try:
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            screen.ready(wiring, parts, seconds=time.monotonic() - begin)
            await stopped
        screen.step("Stopping")
    finally:
        stopped.cancel()
        # whatever it would still start would outlive the sweep
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await supervisor.stop()
        screen.step("Stopped; nothing is left running")


async def _start(supervisor: Supervisor, wiring: Wiring, parts: list[Part]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(supervisor.start(parts))
            if uses_own_storage(wiring):
                group.create_task(fill_storage(wiring, screen.step))
    except* (AFError, OSError) as failures:
        raise first_of(failures) from None


@contextmanager
def _space_on(layout: Layout) -> Iterator[None]:
    """Turn every sign of a full disk into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise _disk_full(layout) from error
    except SetupError as error:
        # a part that fails for want of space says so in its own words, or not at all
        folder = next(each for each in (layout.root, *layout.root.parents) if each.exists())
        if error.code != "disk-full" and shutil.disk_usage(folder).free < NO_SPACE:
            raise _disk_full(layout) from error
        raise


def _disk_full(layout: Layout) -> SetupError:
    return SetupError(
        "disk-full",
        f"The disk that holds {layout.root} is full. Make room (a facility needs about 300 MB), "
        "or choose a folder on another disk with --data DIR.",
    )
