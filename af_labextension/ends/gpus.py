"""A thread that looks whether the server's graphics processors work. Pure.

A thread, since a driver that sleeps takes seconds to answer.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from af_labextension.background import Background

from .nvml import Device, Nvml, NvmlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

log = logging.getLogger(__name__)

EVERY = 10.0
"""Seconds between two looks."""


def ours(devices: Sequence[Device], variables: Mapping[str, str]) -> tuple[Device, ...]:
    """Take the devices that programs here may use, as CUDA reads its variable.

    Parameters
    ----------
    devices
        All that the library sees: on a machine of many users, those of others, too.
    variables
        Environment variables.

    Returns
    -------
    tuple of Device
        None of them if one is meant that the library does not list, such as a part of a device
        (MIG), whose work it does not tell.
    """
    visible = variables.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(devices)
    found = []
    for name in filter(None, (each.strip() for each in visible.split(","))):
        mine = [
            device
            for device in devices
            if name == str(device.index)
            or (name.startswith("GPU-") and device.uuid.startswith(name))
        ]
        if not mine:
            return ()
        found += mine
    return tuple(found)


class GpuWatch:
    """Remembers when a device worked last.

    Parameters
    ----------
    every
        Seconds between two looks.
    variables
        Environment variables that say which devices are ours.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        every: float = EVERY,
        variables: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._every = every
        self._variables = variables
        self._clock = clock
        self._thread = Background("gpus", self._run)
        self._newest: dict[str, int] = {}
        self.active_at: float | None = None
        """Last work in seconds since 1970, at first the begin of watching; None: nobody can tell."""

        self.names: tuple[str, ...] = ()
        """Models of the devices."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for a look that is under way."""
        self._thread.stop()

    def _run(self) -> None:
        while not self._thread.over:
            try:
                self._watch()
            except NvmlError as error:
                log.info("GPUs cannot be watched: %s", error)
            except Exception:  # no fault may end it
                log.exception("GPUs cannot be watched")
            # what nobody can tell is no idleness
            self.active_at = None
            self._thread.pause(6 * self._every)

    def _watch(self) -> None:
        """Watch until it is over or the driver fails; what came before is not known."""
        library = Nvml()
        try:
            devices = ours(library.devices(), self._variables)
            self.names = tuple(device.name for device in devices)
            if not devices:
                raise NvmlError("no device of ours is listed")
            self.active_at = self._clock()
            while not self._thread.pause(self._every):
                # each of them, since a look also moves on what has been seen
                work = [self._works(library, device) for device in devices]
                if any(work):
                    self.active_at = self._clock()
        finally:
            library.close()

    def _works(self, library: Nvml, device: Device) -> bool:
        worked, self._newest[device.uuid] = library.worked_since(
            device, self._newest.get(device.uuid, 0)
        )
        return bool(library.utilisation(device)) or worked
