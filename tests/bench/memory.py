"""The memory guard: what it costs an idle Lab, and how fast a kernel may grow.

Needs control groups that can be made, as for root.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from af_labextension.memory.cgroups import VERSION_2
from af_labextension.memory.reading import GIB, MIB
from bench.figure import Figure
from testbed.memory_group import guarded_lab, memory_group

if TYPE_CHECKING:
    from testbed.memory_group import GuardedLab, MemoryGroup

LIMIT = 2 * GIB
MINUTE = 60.0
RUNS = 3

# numpy asks for large pages, with which memory grows fastest
FILL = """
import time
import numpy
begin = time.perf_counter()
held = [numpy.ones({size}, dtype=numpy.uint8) for _ in range({times})]
taken = time.perf_counter() - begin
"""


def measure() -> list[Figure]:
    """Measure an idle Lab with and without, then kernels that grow as fast as they can."""
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
        guarded, plain = _idle(Path(folder))
        speeds, left = _growing(Path(folder))
    cost = [one - other for one, other in zip(guarded, plain, strict=True)]
    return [
        Figure(
            "processor time of the memory guard in an idle Lab of 2 GiB with one kernel",
            tuple(cost),
            "ms a minute",
            "≤ 60 ms (0.1 % of a core)",
            lambda value: value <= 60,
            f"the Lab without it {statistics.median(plain):.3g} ms a minute",
        ),
        Figure(
            "memory left of 2 GiB when a kernel was ended that grew as fast as the machine can",
            tuple(left),
            "MiB",
            "> 0, and no kill by the system",
            lambda value: value > 0,
            note=f"it grew by {min(speeds):.2g} to {max(speeds):.2g} GiB a second",
        ),
    ]


def _idle(folder: Path) -> tuple[list[float], list[float]]:
    """Return processor time in ms a minute of a Lab with and of one without, in the same minutes."""
    with ExitStack() as stack:
        labs = []
        for name, guard in (("guarded", True), ("plain", False)):
            group = stack.enter_context(memory_group(LIMIT))
            running = guarded_lab(folder / name, group, memory_guard=guard)
            labs.append(stack.enter_context(running))
            labs[-1].notebook("idle.ipynb").client.stop_channels()
        time.sleep(15)  # what a start leaves to do
        found: tuple[list[float], list[float]] = ([], [])
        for _ in range(RUNS):
            before = [_processor_time(lab) for lab in labs]
            time.sleep(MINUTE)
            for times, lab, start in zip(found, labs, before, strict=True):
                times.append(_processor_time(lab) - start)
    return found


def _growing(folder: Path) -> tuple[list[float], list[float]]:
    """Return speeds in GiB/s, and what was left in MiB."""
    speeds, left = [], []
    for run in range(RUNS):
        with memory_group(LIMIT) as group, guarded_lab(folder / f"growing-{run}", group) as lab:
            kernel = lab.notebook("growing.ipynb")
            free = folder / "speed"
            kernel.run(
                FILL.format(size=64 * MIB, times=16)
                + f"open({str(free)!r}, 'w').write(str(taken))\n"
                "del held"
            )
            speeds.append(1 / float(free.read_text()))
            kernel.begin(FILL.format(size=64 * MIB, times=1000))
            kernel.ended()
            if group.kills:
                raise RuntimeError(f"the system killed, at {speeds[-1]:.2g} GiB/s")
            left.append((LIMIT - _most(group)) / MIB)
    return speeds, left


def _most(group: MemoryGroup) -> int:
    """Return the most bytes that a group has held."""
    name = "memory.peak" if group.group.names is VERSION_2 else "memory.max_usage_in_bytes"
    return int((group.group.folder / name).read_text())


def _processor_time(lab: GuardedLab) -> float:
    """Return ms of all threads of a server, without its kernels."""
    tasks = Path("/proc", str(lab.process.pid), "task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6
