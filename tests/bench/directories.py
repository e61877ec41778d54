"""Directories of 30,000 and 100,000 entries through the XCache, to the Lab and on the screen."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

from bench.figure import Figure
from bench.lab_process import lab_process
from testbed.browser import ARGUMENTS, CHROMIUM
from testbed.facility import running_facility
from testbed.person import Person
from testbed.xrootd import started_stack

if TYPE_CHECKING:
    from bench.lab_process import LabProcess, Stream

RUNS = 5
SIZES = (30_000, 100_000)


def measure() -> list[Figure]:
    """Measure the Lab server alone, then what a person sees."""
    return [*through_the_server(), *on_the_screen()]


def fill(store: Path) -> None:
    """Make directories with empty files below ``/store/cms``."""
    for size in SIZES:
        folder = store / "cms" / f"many_{size}"
        folder.mkdir(parents=True)
        for number in range(size):
            os.mknod(folder / f"nanoaod_{number:06d}_0123456789abcdef.root")


def through_the_server() -> list[Figure]:
    """Stream the names through a Lab server; the worker lives in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
        root = Path(folder)
        with started_stack(root / "data") as stack:
            fill(stack.layout.store)
            door = {
                "name": "cache",
                "title": "Cache",
                "url": f"root://127.0.0.1:{stack.port}//store",
                "audience": "storage",
            }
            home = root / "lab"
            home.mkdir()
            environment = stack.client_environment(stack.token())
            config = {
                "FacilityExtension": {
                    "storage_doors": [door],
                    "bearer_token_file": environment["BEARER_TOKEN_FILE"],
                }
            }
            with lab_process(sys.executable, home, config, environment) as lab:
                figures = []
                for size in SIZES:
                    streams = [listing(lab, size) for _ in range(RUNS)]
                    figures += server_figures(size, streams, worker_peak(lab))
    return figures


def listing(lab: LabProcess, size: int) -> Stream:
    """Read one directory."""
    query = urlencode({"path": f"/cms/many_{size}"})
    stream = lab.stream(f"af/storage/cache/list?{query}")
    *rows, last = stream.body.decode().splitlines()
    assert len(rows) == size, last
    assert json.loads(last)["done"], last
    return stream


def worker_peak(lab: LabProcess) -> float:
    """Return the largest peak of resident memory among the server's children, in MB."""
    peaks = []
    for child in lab.process.children(recursive=True):
        status = Path(f"/proc/{child.pid}/status").read_text()
        line = next(each for each in status.splitlines() if each.startswith("VmHWM"))
        peaks.append(int(line.split()[1]) * 1024 / 1e6)
    return max(peaks)


def server_figures(size: int, streams: list[Stream], peak: float) -> list[Figure]:
    """Say what one size has cost."""
    what = f"directory of {size:,} names through the cache"
    return [
        Figure(
            f"{what}: complete at the Lab server",
            tuple(each.complete for each in streams),
            "s",
            "≤ 1 s",
            lambda value: value <= 1,
            note=f"first rows {min(each.first for each in streams):.2f} s",
        ),
        Figure(
            f"{what}: growth of the Lab server",
            tuple(each.grown for each in streams),
            "MB",
            "≤ +50 MB",
            lambda value: value <= 50,
            note=f"peak of the worker {peak:.0f} MB",
        ),
    ]


def on_the_screen() -> list[Figure]:
    """Click on the directories in a real facility and wait for complete lists."""
    seconds: dict[int, list[float]] = {size: [] for size in SIZES}
    with (
        tempfile.TemporaryDirectory(prefix="af-bench-") as folder,
        running_facility(Path(folder) / "data") as facility,
        sync_playwright() as playwright,
    ):
        fill(facility.layout.store)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1360, "height": 850})
        page.set_default_timeout(60_000)
        person = Person(page, facility.base_url, "bob")
        person.log_in()
        person.choose("Analysis")
        person.start()
        person.open_data("cache")
        person.enter("cms")
        for _ in range(RUNS):
            for size in SIZES:
                begin = time.perf_counter()
                person.enter(f"many_{size}")
                page.locator(
                    f'[data-af="list"][data-state="complete"][data-count="{size}"]'
                ).wait_for()
                seconds[size].append(time.perf_counter() - begin)
                person.hook("breadcrumb").get_by_text("cms", exact=True).click()
        browser.close()
    return [
        Figure(
            f"directory of {size:,} names: click to a complete list that scrolls",
            tuple(values),
            "s",
            "≤ 1 s" if size == SIZES[0] else "",
            (lambda value: value <= 1) if size == SIZES[0] else (lambda _: True),
            note="real facility, Chromium",
        )
        for size, values in seconds.items()
    ]
