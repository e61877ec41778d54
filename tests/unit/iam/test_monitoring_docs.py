"""The administrator's page on audit and monitoring tells of everything that there is."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from hatchling.builders.wheel import WheelBuilder

from af_hub import metrics
from af_hub.audit import SCHEMAS
from af_hub.iam import health

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/administrator/monitoring.md").read_text(encoding="utf-8")
ROWS = {found[1]: found[0] for found in re.finditer(r"^\| `([^`]+)`.*$", PAGE, flags=re.MULTILINE)}


def test_every_event_and_field_stands_on_the_page() -> None:
    for path in SCHEMAS.glob("*.yaml"):
        schema = yaml.safe_load(path.read_text(encoding="utf-8"))
        row = ROWS[path.stem]
        for field in schema["properties"]:
            assert f"`{field}`" in row, (path.stem, field)


def test_every_metric_and_label_stands_on_the_page() -> None:
    for metric in metrics.TABLE:
        for label in metric.labels:
            assert f"`{label}`" in ROWS[metric.name]


def test_every_code_of_health_stands_on_the_page() -> None:
    source = Path(health.__file__).read_text(encoding="utf-8")
    codes = set(re.findall(r'"((?:database|keys)-[a-z-]+)"', source))
    assert len(codes) == 4
    for code in codes | {"database-slow", "provider-slow"}:
        assert code in ROWS


def test_schemas_are_in_the_wheel() -> None:
    files = {one.distribution_path for one in WheelBuilder(str(ROOT)).recurse_included_files()}
    expected = {f"af_hub/events/{path.name}" for path in SCHEMAS.glob("*.yaml")}
    assert expected
    assert expected <= files
