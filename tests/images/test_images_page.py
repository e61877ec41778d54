"""What docs/administrator/images.md tells an administrator to type."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from testbed.images import REPOSITORY, build_image, inside
from tools.images.catalogue import IMAGES
from tools.images.engine import Engine
from tools.images.places import Places
from tools.images.programs import answer

if TYPE_CHECKING:
    from pathlib import Path

    from tools.images.records import Record

PAGE = REPOSITORY / "docs/administrator/images.md"

TRUSTED = "/etc/ssl/certs/ca-certificates.crt"


def test_every_image_stands_on_the_page_when_there_is_one() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` +\|", PAGE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(IMAGES)


def test_extended_image_runs_when_made_as_the_page_says(tmp_path: Path) -> None:
    lab = build_image("lab")
    (recipe,) = re.findall(r"```dockerfile\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "Containerfile").write_text(re.sub(r"^FROM \S+", f"FROM {lab.reference}", recipe))
    with inside(lab):
        pass  # it is in the storage now
    reference = "localhost/af/extended:test"
    engine = Engine(Places.default())
    options = ["--network", "host", "--pull-never", "--tag", reference]
    if bundle := os.environ.get("AF_CA_BUNDLE") or os.environ.get("PIP_CERT"):
        options += ["--volume", f"{bundle}:{TRUSTED}:ro"]
    command = engine.command("build", *options, str(tmp_path))
    try:
        answer(command, what="extending", environment=engine.environment)
        with inside(_renamed(lab, reference)) as box:
            assert box.run("id", "-u") == "1000"
            box.python("import uncertainties, af_labextension")
            box.run("jq", "--version")
    finally:
        subprocess.run(engine.command("rmi", reference), env=engine.environment, check=False)


def _renamed(record: Record, reference: str) -> Record:
    return type(record)(**{**record.__dict__, "reference": reference})


def test_context_holds_all_that_is_copied_when_laid_for_another_builder(tmp_path: Path) -> None:
    for name in ("hub", "xcache"):
        folder = tmp_path / name
        command = [sys.executable, "-m", "tools.images"]
        subprocess.run([*command, "context", name, folder], cwd=REPOSITORY, check=True)
        text = (folder / "images" / name / "Containerfile").read_text()
        sources = re.findall(r"^COPY (?:--\S+ )*(.+) \S+$", text, re.MULTILINE)
        missing = [
            word for line in sources for word in line.split() if not (folder / word).exists()
        ]
        assert missing == []
