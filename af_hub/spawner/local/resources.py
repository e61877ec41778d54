"""What this machine has: cores, memory, graphics processors."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

_DEVICE = re.compile(r"nvidia[0-9]{1,4}")
_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_ASK_TIMEOUT = 10.0
"""Seconds that ``nvidia-smi`` may take; a sleeping driver needs a few."""
_MAX_AGE = 60.0
"""Seconds for which what is known about the machine is believed."""


@dataclass(frozen=True, slots=True)
class GpuDevice:
    """One NVIDIA device.

    Parameters
    ----------
    identifier
        What goes into ``CUDA_VISIBLE_DEVICES``: the UUID, else the index.
    product
        As the driver names it.
    """

    identifier: str
    product: str


@dataclass(frozen=True, slots=True)
class Machine:
    """What the hub's process may use of this machine.

    Parameters
    ----------
    cores
        Numbers of the processor cores.
    memory
        Bytes: what is built in, or what a container may use.
    gpus
        All devices, reserved or not.
    """

    cores: tuple[int, ...]
    memory: int
    gpus: tuple[GpuDevice, ...]


async def look_at_machine() -> Machine:
    """Find out what there is.

    Returns
    -------
    Machine
        Without devices if there is no NVIDIA driver or it does not answer within 10 s.
    """
    memory = await asyncio.to_thread(_memory)
    return Machine(tuple(sorted(os.sched_getaffinity(0))), memory, await _gpus())


class KnownMachine:
    """What there is, looked at once a minute."""

    def __init__(self) -> None:
        self._known: Machine | None = None
        self._looked_at = 0.0

    async def look(self) -> Machine:
        """Describe the machine as it was at most a minute ago; see `look_at_machine`."""
        now = time.monotonic()
        if self._known is None or now - self._looked_at > _MAX_AGE:
            self._known, self._looked_at = await look_at_machine(), now
        return self._known


def _memory() -> int:
    """Take the smaller of what is built in and what the container may use, in bytes."""
    pages: int = os.sysconf("SC_PHYS_PAGES")
    size: int = pages * os.sysconf("SC_PAGE_SIZE")
    for limit in _MEMORY_LIMITS:
        try:
            text = limit.read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            size = min(size, int(text))
    return size


async def _gpus() -> tuple[GpuDevice, ...]:
    """Ask the driver; without its tool count the device files."""
    files = await asyncio.to_thread(_device_files)
    if not files:
        return ()
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return tuple(GpuDevice(name.removeprefix("nvidia"), "NVIDIA GPU") for name in files)
    process = await asyncio.create_subprocess_exec(
        tool,
        "--query-gpu=uuid,name",
        "--format=csv,noheader",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _ASK_TIMEOUT)
    except TimeoutError:
        process.kill()
        await process.wait()
        return ()
    return read_gpu_table(output.decode(errors="replace")) if process.returncode == 0 else ()


def read_gpu_table(text: str) -> tuple[GpuDevice, ...]:
    r"""Read ``nvidia-smi --query-gpu=uuid,name --format=csv,noheader``.

    Examples
    --------
    >>> read_gpu_table("GPU-8f2a, NVIDIA A100\n")
    (GpuDevice(identifier='GPU-8f2a', product='NVIDIA A100'),)
    """
    rows = [line.partition(",") for line in text.splitlines()]
    return tuple(
        GpuDevice(identifier.strip(), product.strip())
        for identifier, comma, product in rows
        if comma and re.fullmatch(r"\s*GPU-[0-9a-fA-F-]{4,64}\s*", identifier)
    )


def _device_files() -> list[str]:
    """List ``/dev/nvidia0`` and so on."""
    return sorted(
        path.name for path in Path("/dev").glob("nvidia*") if _DEVICE.fullmatch(path.name)
    )
