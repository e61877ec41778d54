"""NVIDIA's management library, as much of it as tells whether a device works. Pure.

Five calls by hand instead of ``nvidia-ml-py``: that is one more package in every user's image, whose
import takes longer than all samples of a day, and this is its only use.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, byref, c_uint, c_ulonglong, c_void_p
from dataclasses import dataclass
from typing import Any

LIBRARY = "libnvidia-ml.so.1"
"""The driver brings it; the container runtime puts it into containers with devices."""

_TOO_SMALL = 7
_MORE = 16
_MOST_SAMPLES = 4096


class NvmlError(Exception):
    """The library said no, or is not there."""


class _Utilisation(Structure):
    _fields_ = [("gpu", c_uint), ("memory", c_uint)]


class _ProcessSample(Structure):
    _fields_ = [
        ("pid", c_uint),
        ("time", c_ulonglong),
        ("sm", c_uint),
        ("memory", c_uint),
        ("encoder", c_uint),
        ("decoder", c_uint),
    ]


@dataclass(frozen=True, slots=True)
class Device:
    """One device.

    Parameters
    ----------
    handle
        The library's.
    index
        Its number.
    uuid
        Such as ``GPU-8f2a…``.
    name
        Its model.
    """

    handle: c_void_p
    index: int
    uuid: str
    name: str


class Nvml:
    """The open library.

    Raises
    ------
    NvmlError
        There is no library, or no driver behind it.
    """

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY)
            self._call("nvmlInit_v2")
        except (OSError, AttributeError) as error:
            raise NvmlError(str(error)) from None

    def devices(self) -> tuple[Device, ...]:
        """List the devices that can be seen."""
        count = c_uint()
        self._call("nvmlDeviceGetCount_v2", byref(count))
        return tuple(self._device(index) for index in range(count.value))

    def _device(self, index: int) -> Device:
        handle = c_void_p()
        self._call("nvmlDeviceGetHandleByIndex_v2", c_uint(index), byref(handle))
        uuid = self._text("nvmlDeviceGetUUID", handle)
        return Device(handle, index, uuid, self._text("nvmlDeviceGetName", handle))

    def _text(self, name: str, handle: c_void_p) -> str:
        text = ctypes.create_string_buffer(96)
        self._call(name, handle, text, c_uint(len(text)))
        return text.value.decode(errors="replace")

    def utilisation(self, device: Device) -> int:
        """Return the share of the last moment in which a device worked, in percent."""
        found = _Utilisation()
        self._call("nvmlDeviceGetUtilizationRates", device.handle, byref(found))
        return int(found.gpu)

    def worked_since(self, device: Device, since: int) -> tuple[bool, int]:
        """Tell whether a process has worked on a device since a sample.

        Parameters
        ----------
        device
            The device.
        since
            Time of the last sample that is known, in microseconds as the library counts.

        Returns
        -------
        tuple of (bool, int)
            Whether it has, and the time of the newest sample.
        """
        size = _MORE
        while True:
            samples, count = (_ProcessSample * size)(), c_uint(size)
            status = self._status(
                "nvmlDeviceGetProcessUtilization",
                *(device.handle, samples, byref(count), c_ulonglong(since)),
            )
            if status != _TOO_SMALL or size >= _MOST_SAMPLES:
                break
            size = min(max(2 * size, count.value), _MOST_SAMPLES)
        if status:
            # not told in containers and for parts of devices, or there is no sample
            return False, since
        found = samples[: min(count.value, size)]
        worked = any(each.sm or each.encoder or each.decoder for each in found)
        return worked, max((each.time for each in found), default=since)

    def close(self) -> None:
        """Close it."""
        self._status("nvmlShutdown")

    def _call(self, name: str, *arguments: Any) -> None:
        if status := self._status(name, *arguments):
            raise NvmlError(f"{name}: {status}")

    def _status(self, name: str, *arguments: Any) -> int:
        return int(getattr(self._library, name)(*arguments))
