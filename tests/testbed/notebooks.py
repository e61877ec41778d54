"""The notebooks of ``examples/``, run as their reader runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient import NotebookClient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"

ANALYSIS = "analysis"
"""Tag of the cells that define the analysis and do nothing else."""


def read_notebook(path: Path) -> Any:
    """Return a notebook."""
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def analysis_source(name: str) -> str:
    """Return the cells of an example that define its analysis."""
    cells = read_notebook(EXAMPLES / name).cells
    return "\n".join(cell.source for cell in cells if ANALYSIS in cell.metadata.get("tags", ()))


def run_notebook(
    path: Path,
    environment: Mapping[str, str],
    ask: str,
    *,
    kernel: str = "python3",
    patience: int = 120,
) -> tuple[Any, str]:
    """Run a notebook from its first cell to its last, and ask its kernel for a value.

    Parameters
    ----------
    path
        The notebook; its folder is where the kernel works. The file is not changed.
    environment
        The whole environment of the kernel.
    ask
        A Python expression for what JSON can hold; it is evaluated after the last cell.
    kernel
        Name of the kernel.
    patience
        Seconds for each cell.

    Returns
    -------
    tuple
        The value, and what the cells printed.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell failed.
    """
    notebook = read_notebook(path)
    question = f"import json as _json\n_json.dumps({ask})"
    notebook.cells.append(nbformat.v4.new_code_cell(question))  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        timeout=patience,
        startup_timeout=60,
        kernel_name=kernel,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute(env=dict(environment))
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return json.loads(_text(outputs.pop()).strip("'")), "".join(_printed(outputs))


def _text(output: Any) -> str:
    return str(output["data"]["text/plain"])


def _printed(outputs: Sequence[Any]) -> list[str]:
    return [output["text"] for output in outputs if output["output_type"] == "stream"]
