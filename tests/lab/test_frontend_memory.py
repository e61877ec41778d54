"""What a user sees when the kernel of a notebook was ended, in a real Lab with a real kernel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from af_labextension.memory.reading import MIB
from testbed.front_end_lab import TOKEN, running_lab_process, wait_until_started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.browser

FILL = f"""
import time
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


def run(page: Any, code: Any) -> None:
    """Run a cell as a person does, who sees where the cursor is and that something happens."""
    code.locator(".cm-content").click()
    expect(code.locator(".cm-editor")).to_contain_class("cm-focused")
    page.keyboard.press("Shift+Enter")
    expect(code.locator(".jp-InputPrompt")).not_to_have_text("[ ]:")


@pytest.fixture
def lab(front_end_wheel: Path, tmp_path: Path) -> Iterator[str]:
    """Run a Lab with a limit of its own; a system's needs a control group."""
    home = tmp_path / "home"
    (home / "config").mkdir(parents=True)
    # two Pythons start in the first cell's kernel: the Lab's own memory is far below
    config = {"FacilityExtension": {"memory_limit": 640 * MIB}}
    (home / "config/jupyter_server_config.json").write_text(json.dumps(config))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": [cell(FILL), cell("print('still', 6 * 7)")],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (home / "large.ipynb").write_text(json.dumps(notebook))
    extensions = {"af_labextension": True}
    with running_lab_process(front_end_wheel, home, extensions, {}) as address:
        yield address


def test_the_user_is_told_and_can_go_on_when_a_kernel_was_ended(
    lab: str, new_page: Any, shoot: Any
) -> None:
    page = new_page()
    page.goto(f"{lab}/lab/workspaces/memory/tree/large.ipynb?token={TOKEN}&reset")
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    expect(cells).to_have_count(2, timeout=60_000)
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=60_000)
    run(page, cells.first)
    page.wait_for_selector(NOTICE, timeout=120_000)
    shoot(page, "memory-notice")
    dialog = page.locator(NOTICE)
    for words in ("large.ipynb", "of 640 MiB", "more memory", "pieces", "Dask cluster"):
        expect(dialog).to_contain_text(words)
    page.click('[data-af="memory-ok"]')
    # Lab's own, once: the kernel is not started again and again
    restarting = page.locator(".jp-Dialog", has_text="Kernel Restarting")
    restarting.get_by_role("button", name="Ok").click()
    expect(cells.first.locator(".jp-OutputArea")).to_contain_text("Kernel ended: no memory left")
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=60_000)
    run(page, cells.nth(1))
    expect(cells.nth(1).locator(".jp-OutputArea")).to_contain_text("still 42", timeout=60_000)
    expect(page.locator(".jp-Dialog")).to_have_count(0)
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
