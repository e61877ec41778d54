"""The JSON Schema tells an editor everything."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from af_hub.cli import main
from af_hub.facility import schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest


def fields(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        yield from node.get("properties", {}).items()
        for value in node.values():
            yield from fields(value)
    elif isinstance(node, list):
        for value in node:
            yield from fields(value)


def test_every_field_is_described_when_an_editor_asks() -> None:
    mute = {
        name
        for name, field in fields(schema())
        if len(field.get("description", "")) < 12 and "$ref" not in field
    }
    assert mute == set()


def test_a_single_value_is_enough_when_a_profile_offers_no_choice() -> None:
    cpu = schema()["$defs"]["CpuChoice"]
    assert cpu["anyOf"][0]["type"] == "integer"
    assert cpu["anyOf"][1]["oneOf"] == [{"required": ["choices"]}, {"required": ["min", "max"]}]


def test_schema_is_json_when_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Facility file of analysis-facility"


def test_check_answers_with_an_exit_code_when_a_file_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "facility.yaml"
    file.write_text("abuot: {}\n")
    assert main(["check", str(file)]) == 2
    assert "did you mean 'about'" in capsys.readouterr().err
    file.write_text("identity: {issuer: 'https://i', client_id: c, client_secret_env: C}\n")
    assert main(["check", str(file)]) == 0
    out = capsys.readouterr().out
    assert "no problem found" in out
    assert "nobody can start anything" in out


def test_package_stays_light_when_only_imported() -> None:
    code = "import af_hub, sys; print(sorted({'jupyterhub', 'tornado', 'pydantic'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
