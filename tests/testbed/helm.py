"""Helm and helmfile, where they are, and what they make of our charts and values."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = Path(__file__).parents[2]
VALUES = REPOSITORY / "helm-values"
KUBERNETES = "1.36"
"""Version that charts are rendered and checked for."""

_REASONS = {"helm": "make kube-tools", "helmfile": "make helm-tools"}


def program(name: str) -> Path:
    """Find a program among those of the test cluster, or on the path; skip the test without it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("AF_KUBE_HOME") or cache / "analysis-facility" / "kube")
    built = sorted(home.glob(f"bin/*/{name}"), key=lambda path: path.stat().st_mtime)
    found = str(built[-1]) if built else shutil.which(name)
    require(name, found, f"there is no {name}: {_REASONS[name]}")
    assert found is not None
    return Path(found)


def run(*command: str | Path, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a program in a home of its own, and return what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={"PATH": os.defpath, "HOME": str(cwd), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command[:3]}: {done.stderr[-3000:]}"
    return done.stdout


def template(
    chart: Path,
    cwd: Path,
    *options: str | Path,
    name: str = "facility",
    namespace: str = "facility",
) -> list[Any]:
    """Render a chart and return its documents."""
    text = run(
        *(program("helm"), "template", name, chart, "--namespace", namespace),
        *("--kube-version", KUBERNETES, *options),
        cwd=cwd,
    )
    return [document for document in yaml.safe_load_all(text) if document]
