"""The administrator's pages say what the code does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import yaml

from af_hub.compute.backends.base import Engine
from af_hub.compute.metrics import TABLE
from af_hub.compute.types import ComputeConfig

DOCS = Path(__file__).parents[3] / "docs/administrator"
TYPES = (DOCS / "cluster-types.md").read_text(encoding="utf-8")
BACKEND = (DOCS / "write-a-backend.md").read_text(encoding="utf-8")


def test_the_example_is_right_and_complete() -> None:
    block = re.search(r"```yaml\n(compute:.*?)```", TYPES, re.DOTALL)
    assert block is not None
    data = yaml.safe_load(block[1])["compute"]
    config = ComputeConfig.model_validate(data)
    assert [kind.backend for kind in config.types] == ["local", "local", "in-lab"]
    # each key that there is stands in it, somewhere
    first = config.types[0]
    said = block[1]
    for model in (config, first, first.worker, first.images, config.quotas, first.lifetime):
        for name in type(model).model_fields if model is not None else ():
            assert re.search(rf"\b{name}:", said), name


def test_every_metric_stands_in_the_page() -> None:
    for row in TABLE:
        line = next(line for line in TYPES.splitlines() if line.startswith(f"| `{row.name}`"))
        for label in row.labels:
            assert f"`{label}`" in line


def test_every_method_of_an_engine_stands_in_the_page() -> None:
    methods = {name for name, _ in inspect.getmembers(Engine, inspect.isfunction)}
    for name in sorted(each for each in methods if not each.startswith("_")):
        assert f"| `{name}(" in BACKEND, name
