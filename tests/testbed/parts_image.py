"""The image of the tests' identity provider and storage: the hub's, with a few packages more."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tools.images.engine import Engine
from tools.images.inputs import tag
from tools.images.places import ROOT, Places
from tools.images.records import archive_path, reference_of

if TYPE_CHECKING:
    from tools.images.records import Record

NAME = "facility-parts"
FOLDER = Path(__file__).parents[1] / "kube" / "images" / "parts"
PACKAGES = (
    *("authlib", "blinker", "cffi", "cheroot", "click", "cryptography", "defusedxml", "flask"),
    *("itsdangerous", "jaraco-functools", "jinja2", "joserfc", "json5", "markupsafe"),
    *("more-itertools", "pycparser", "pyyaml", "werkzeug", "wsgidav"),
)
"""What `af_hub.embedded.iam` and `.storage` import, and what those need, as the facility's lock
has them."""


def locked(text: str) -> str:
    """Take the entries of `PACKAGES` out of a lock file."""
    entries = re.split(r"\n(?=[a-z0-9])", text)
    named = {re.split(r"[=\[ ]", entry, maxsplit=1)[0]: entry for entry in entries}
    return "\n".join(named[name] for name in PACKAGES) + "\n"


def build_parts(hub: Record) -> tuple[str, Path]:
    """Return reference and archive of the image, building it if there is none on this hub."""
    containerfile = FOLDER / "Containerfile"
    requirements = locked((ROOT / "requirements" / "facility.txt").read_text())
    places, engine = Places.default(), Engine(Places.default())
    made_of = {"hub": hub.tag, "file": containerfile.read_text(), "packages": requirements}
    reference = reference_of(NAME, tag(made_of))
    archive = archive_path(places.home, NAME, tag(made_of))
    with places.turn(print):
        if archive.exists():
            return reference, archive
        engine.prepare()
        if not engine.has(hub.reference):
            engine.load(Path(hub.archive))
        for old in places.home.glob(f"{NAME}-*"):
            old.unlink()
        with tempfile.TemporaryDirectory(dir=places.work) as folder:
            shutil.copy(containerfile, folder)
            (Path(folder) / "requirements.txt").write_text(requirements)
            authorities = os.environ.get("AF_CA_BUNDLE") or os.environ.get("PIP_CERT")
            engine.build(
                reference,
                Path(folder),
                Path(folder) / "Containerfile",
                arguments={"HUB": hub.reference},
                secrets={"authorities": Path(authorities)} if authorities else {},
                log=places.logs / f"{NAME}.log",
            )
        engine.save(reference, archive, log=places.logs / f"{NAME}.log")
    return reference, archive
