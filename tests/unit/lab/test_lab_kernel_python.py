"""Which Python runs the default kernel, and so clusters inside the user's server."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from af_labextension.clusters.traits import kernel_python

if TYPE_CHECKING:
    from pathlib import Path


def manager(folder: Path, text: str | None) -> KernelSpecManager:
    """Make a manager that finds one kernel, or the one of the server's own ipykernel."""
    if text is not None:
        (folder / "python3").mkdir()
        (folder / "python3" / "kernel.json").write_text(text)
    return KernelSpecManager(kernel_dirs=[str(folder)])


def spec(program: str) -> str:
    """Write a kernel's file."""
    return json.dumps({"argv": [program, "-m", "ipykernel_launcher"], "display_name": "Python"})


@pytest.mark.parametrize(
    ("text", "python"),
    [
        (spec("/opt/science/bin/python"), "/opt/science/bin/python"),
        # jupyter_client itself puts the server's own in the place of these
        (spec("python"), sys.executable),
        (spec("python3"), sys.executable),
        ("{", sys.executable),
        ('{"argv": []}', sys.executable),
        (None, sys.executable),
    ],
)
def test_the_kernels_program_is_taken_when_it_is_named(
    tmp_path: Path, text: str | None, python: str
) -> None:
    assert kernel_python(manager(tmp_path, text)) == python


def test_the_servers_python_is_taken_when_there_is_no_manager() -> None:
    assert kernel_python(None) == sys.executable
