"""Whether graphics processors work: the real client, with a library that a test can tell what to say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from af_labextension.ends.gpus import GpuWatch, ours
from af_labextension.ends.nvml import Device, Nvml, NvmlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.fake_nvml import FakeNvml

PROGRAM = """
import json, logging, sys
from af_labextension.ends.gpus import GpuWatch
clock = iter(range(1, 10**9))
watch = GpuWatch(every=0.02, clock=lambda: float(next(clock)))
watch.start()
for line in sys.stdin:
    print(json.dumps([watch.active_at, watch.names]), flush=True)
watch.stop()
"""
"""Tells what is known whenever it is asked; its clock moves when a device works."""


@contextmanager
def watching(variables: dict[str, str]) -> Iterator[Callable[[], Any]]:
    """Run the watch in a process that finds the library; give a function that asks it."""
    environment = {**os.environ, **variables}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask() -> Any:
            process.stdin.write("\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            return json.loads(process.stdout.readline())  # type: ignore[union-attr]

        yield ask
        process.stdin.close()
        assert process.wait(30) == 0


def until(ask: Callable[[], Any], true: Callable[[Any], bool]) -> Any:
    """Ask until the answer is such."""
    for _ in range(100_000):
        answer = ask()
        if true(answer):
            return answer
    raise AssertionError(answer)


@pytest.fixture(autouse=True)
def idle(fake_nvml: FakeNvml) -> None:
    """Begin with one device that does nothing."""
    fake_nvml.say(1)


@pytest.mark.parametrize("work", [{"utilisation": 3}, {"process": 3}])
def test_device_is_active_while_it_works_and_idle_when_it_does_not(
    fake_nvml: FakeNvml, work: dict[str, int]
) -> None:
    with watching(fake_nvml.variables) as ask:
        began, names = until(ask, lambda answer: answer[0] is not None)
        assert names == ["NVIDIA A100"]
        # a look or two later nothing has changed
        assert [ask()[0] for _ in range(50)] == 50 * [began]
        fake_nvml.say(1, **work)
        worked = until(ask, lambda answer: answer[0] > began)[0]
        until(ask, lambda answer: answer[0] > worked)
        fake_nvml.say(1)
        # at most one look was under way
        last = ask()[0]
        assert until(ask, lambda answer: answer[0] >= last)[0] <= last + 2


def test_nobody_can_tell_when_the_driver_fails_or_no_device_is_ours(fake_nvml: FakeNvml) -> None:
    with watching(fake_nvml.variables) as ask:
        until(ask, lambda answer: answer[0] is not None)
        fake_nvml.say(-1)
        until(ask, lambda answer: answer[0] is None)
        fake_nvml.say(1)
        until(ask, lambda answer: answer[0] is not None)
    # the first device works, and is somebody else's
    fake_nvml.say(2, utilisation=50)
    with watching({**fake_nvml.variables, "CUDA_VISIBLE_DEVICES": "GPU-0001"}) as ask:
        began = until(ask, lambda answer: answer[0] is not None)[0]
        assert [ask()[0] for _ in range(50)] == 50 * [began]
    with watching({**fake_nvml.variables, "CUDA_VISIBLE_DEVICES": "MIG-5a"}) as ask:
        assert [ask()[0] for _ in range(50)] == 50 * [None]


def test_nobody_can_tell_when_there_is_no_library() -> None:
    with pytest.raises(NvmlError):
        Nvml()
    watch = GpuWatch(every=0.01)
    watch.start()
    watch.stop()
    assert (watch.active_at, watch.names) == (None, ())


def test_devices_are_those_that_cuda_would_see() -> None:
    devices = [Device(None, number, f"GPU-{number}abc", "x") for number in range(3)]  # type: ignore[arg-type]

    def seen(value: str | None) -> list[int]:
        variables = {} if value is None else {"CUDA_VISIBLE_DEVICES": value}
        return [device.index for device in ours(devices, variables)]

    assert seen(None) == [0, 1, 2]
    assert seen("") == []
    assert seen("2, GPU-0") == [2, 0]
    assert seen("GPU-1abc") == [1]
    assert seen("0,MIG-77") == []
