"""The page "install on Kubernetes": its files are taken, its places exist."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import jsonschema
import yaml

from af_hub.cli import main
from af_hub.kube_values import FILE
from testbed.helm import REPOSITORY, VALUES
from testbed.values import schema

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PAGE = (REPOSITORY / "docs/administrator/kubernetes.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the page's code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_facility_file_of_the_page_is_taken_when_somebody_copies_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (text,) = [one for one in blocks("yaml") if one.startswith("# facility.yaml")]
    file = tmp_path / "facility.yaml"
    file.write_text(text)
    assert main(["check", str(file)]) == 0
    assert "Note" not in capsys.readouterr().out
    arguments = ["values", "--for", "jupyterhub", str(file), "--output", str(tmp_path)]
    assert main([*arguments, "--public-url", "https://hub.example.org"]) == 0
    assert capsys.readouterr().err == ""
    read = yaml.safe_load((tmp_path / FILE).read_text())
    assert not list(jsonschema.Draft7Validator(schema()).iter_errors(read))


def test_places_of_the_page_exist_when_somebody_looks_for_them() -> None:
    named = set(re.findall(r"(?:\$V|helm-values)/([\w./-]+\w)", PAGE))
    assert named >= {"charts/hub-rights", "jupyterhub/values.yaml", "helmfile.yaml.gotmpl"}
    assert not [name for name in named if not (VALUES / name).exists()]
    for command in ("kube-tools", "helm-tools"):
        assert f"\n{command}:" in (REPOSITORY / "Makefile").read_text()


def test_secrets_of_the_page_are_those_that_the_hub_reads_when_it_starts() -> None:
    (code,) = yaml.safe_load((VALUES / "jupyterhub/values.yaml").read_text())["hub"][
        "extraConfig"
    ].values()
    made = set(re.findall(r"> secrets/([\w-]+)", PAGE))
    assert made == {"client-secret", *re.findall(r'_secret\("([\w-]+)"\)', code)}
