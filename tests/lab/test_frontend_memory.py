"""What a user sees when the kernel of a notebook was ended, in a real Lab with a real kernel."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from af_labextension.memory.processes import look
from af_labextension.memory.reading import MIB
from testbed.facility import wait_for
from testbed.front_end_lab import TOKEN, running_lab_process, wait_until_started
from testbed.memory_group import memory_group, standing_still
from testbed.notebook import begin, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.memory_group import MemoryGroup

pytestmark = pytest.mark.browser

FILL = f"""
import time
time.sleep(5)  # one sees that it runs
held = []
while len(held) * 16 < 4096:
    held.append(b"x" * (16 * {MIB}))
    time.sleep(0.02)
"""

NOTICE = '[data-af="memory-notice"]'


def cell(source: str) -> dict[str, Any]:
    """Return a cell of code."""
    return {
        "cell_type": "code",
        "id": f"cell-{len(source)}",
        "source": source,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }


@contextmanager
def running_lab(wheel: Path, home: Path, settings: dict[str, Any], **how: Any) -> Iterator[str]:
    """Run a Lab with a notebook whose first cell fills the memory."""
    (home / "config").mkdir(parents=True)
    config = {"FacilityExtension": settings}
    (home / "config/jupyter_server_config.json").write_text(json.dumps(config))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": [cell(FILL), cell("print('still', 6 * 7)")],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (home / "large.ipynb").write_text(json.dumps(notebook))
    with running_lab_process(wheel, home, {"af_labextension": True}, {}, **how) as address:
        yield address


@pytest.fixture
def lab(front_end_wheel: Path, tmp_path: Path) -> Iterator[str]:
    """Run one with a limit of its own; a system's needs a control group."""
    # two Pythons start in the first cell's kernel: the Lab's own memory is far below
    settings = {"memory_limit": 640 * MIB}
    with running_lab(front_end_wheel, tmp_path / "home", settings) as address:
        yield address


@pytest.fixture
def group() -> Iterator[MemoryGroup]:
    """Make a group in which the system kills."""
    with memory_group(640 * MIB) as made:
        yield made


@pytest.fixture
def grouped_lab(group: MemoryGroup, front_end_wheel: Path, tmp_path: Path) -> Iterator[str]:
    """Run a Lab in the group."""
    home = tmp_path / "home"
    with running_lab(front_end_wheel, home, {}, wrapped=group.command) as address:
        yield address


def fill(page: Any, lab: str) -> Any:
    """Run the first cell; return the cells."""
    page.goto(f"{lab}/lab/workspaces/memory/tree/large.ipynb?token={TOKEN}&reset")
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    expect(cells).to_have_count(2, timeout=60_000)
    cells.first.locator(".cm-content").click()
    begin(page, cells.first)
    return cells


def go_on(page: Any, cells: Any, title: str) -> None:
    """Take note, see why there is no result, and run the next cell."""
    page.click('[data-af="memory-ok"]')
    # Lab's own, once: the kernel is not started again and again
    restarting = page.locator(".jp-Dialog", has_text="Kernel Restarting")
    restarting.get_by_role("button", name="Ok").click()
    expect(cells.first.locator(".jp-OutputArea")).to_contain_text(title)
    cells.nth(1).locator(".cm-content").click()
    run(page, cells.nth(1), "still 42")
    expect(page.locator(".jp-Dialog")).to_have_count(0)


def test_the_user_is_told_whose_kernel_the_system_has_killed(
    grouped_lab: str, group: MemoryGroup, new_page: Any
) -> None:
    page = new_page()
    cells = fill(page, grouped_lab)
    (server,) = (
        one.pid for one in look() if one.pid in group.processes and one.parent == os.getpid()
    )
    with standing_still(server):
        wait_for(lambda: group.kills > 0, "the system's kill")
    page.wait_for_selector(NOTICE, timeout=120_000)
    expect(page.locator(NOTICE)).to_contain_text(
        "The kernel of large.ipynb was killed by the system"
    )
    go_on(page, cells, "Kernel killed: no memory left")


def test_the_user_is_told_and_can_go_on_when_a_kernel_was_ended(
    lab: str, new_page: Any, shoot: Any
) -> None:
    page = new_page()
    cells = fill(page, lab)
    page.wait_for_selector(NOTICE, timeout=120_000)
    shoot(page, "memory-notice")
    dialog = page.locator(NOTICE)
    for words in ("large.ipynb", "of 640 MiB", "more memory", "pieces", "Dask cluster"):
        expect(dialog).to_contain_text(words)
    go_on(page, cells, "Kernel ended: no memory left")
    shoot(page, "memory-output")
    # the same page later: told already
    page.goto(f"{lab}/lab/workspaces/later?token={TOKEN}&reset")
    wait_until_started(page)
    expect(page.locator(NOTICE)).to_have_count(0)
    # a browser that was away
    other = new_page()
    other.goto(f"{lab}/lab/workspaces/other?token={TOKEN}&reset")
    other.wait_for_selector(NOTICE, timeout=60_000)
    expect(other.locator(NOTICE)).to_contain_text("large.ipynb")
