"""Notebooks as a person runs them in the browser."""

from __future__ import annotations

import re
import time
from typing import Any

KERNEL_READY = '.jp-Notebook-ExecutionIndicator[data-status="idle"]:visible'
OUTPUT = ".jp-OutputArea-output"
START_PATIENCE = 90.0
"""Seconds for a kernel to start, or a cell to begin: machines are busy."""


def wait_for_kernel(page: Any) -> None:
    """Wait until the notebook in sight has a kernel that waits for work."""
    page.wait_for_selector(KERNEL_READY, timeout=START_PATIENCE * 1000)


def begin(page: Any, cell: Any, patience: float = START_PATIENCE) -> None:
    """Run the active cell, which goes on for some seconds, and wait until its prompt says so.

    Lab forgets what is run while it connects to a kernel, also after the kernel was said to be
    idle: the prompt is empty again then, and the key is pressed once more, as a person would.

    Parameters
    ----------
    page
        A Playwright page with an open notebook.
    cell
        Locator of the cell, which is the active one.
    patience
        Seconds until the prompt is not empty.
    """
    deadline = time.monotonic() + patience
    while _prompt_is_empty(cell):
        assert time.monotonic() < deadline, "the cell does not begin"
        wait_for_kernel(page)
        page.keyboard.press("Control+Enter")
        # it shows a star before it forgets
        page.wait_for_timeout(1500)


def run(page: Any, cell: Any, text: str | None = None, patience: float = START_PATIENCE) -> Any:
    """Run the active cell and return its outputs once one of them is there, however often it takes.

    Parameters
    ----------
    page, cell
        As for `begin`.
    text
        What an output must contain; another output fails at once with what it says.
    patience
        Seconds until the first output.
    """
    wait_for_kernel(page)
    outputs = cell.locator(OUTPUT)
    deadline = time.monotonic() + patience
    while not outputs.count():
        assert time.monotonic() < deadline, "no output"
        if _prompt_is_empty(cell):
            page.keyboard.press("Control+Enter")
        page.wait_for_timeout(300)
    if text is not None:
        assert text in outputs.first.inner_text()
    return outputs


def _prompt_is_empty(cell: Any) -> bool:
    prompt = cell.locator(".jp-InputArea-prompt").first.inner_text().strip()
    return re.fullmatch(r"\[?\s*\]?:?", prompt) is not None
