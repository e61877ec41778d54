"""What lies in the notebooks of ``examples/`` before anybody runs them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import nbformat
import pytest

from testbed.notebooks import EXAMPLES, read_notebook

if TYPE_CHECKING:
    from pathlib import Path

NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def test_there_is_one_for_each_way_of_working() -> None:
    names = {path.stem for path in NOTEBOOKS}
    assert {"zmumu", "zmumu_coffea", "zmumu_rdataframe", "adaboost"} <= names


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_no_output_no_address_and_no_secret(path: Path) -> None:
    notebook = read_notebook(path)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert {cell.execution_count for cell in code} == {None}
    text = path.read_text()
    assert not re.search(r"\w://\w", text), "an address; a scheme alone is none"
    assert not re.search(r"\b\d{1,3}(\.\d{1,3}){3}\b|localhost", text)
    assert "eyJ" not in text
    assert "/home/" not in text
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_python_that_compiles(path: Path) -> None:
    for cell in read_notebook(path).cells:
        if cell.cell_type == "code":
            compile(cell.source, f"{path.name} {cell.id}", "exec")
