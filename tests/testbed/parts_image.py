"""The image of the tests' identity provider and storage: the hub's, with a few packages more."""

from __future__ import annotations

import os
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tools.images.build import keep
from tools.images.engine import Engine
from tools.images.inputs import tag
from tools.images.places import ROOT, Places
from tools.images.records import find, reference_of
from tools.images.retention import hold, tidy

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


def build_parts(hub: Record) -> Record:
    """Return the record of the image, building it if there is none on this hub."""
    containerfile = FOLDER / "Containerfile"
    requirements = locked((ROOT / "requirements" / "facility.txt").read_text())
    places, engine = Places.default(), Engine(Places.default())
    made_of = {"hub": hub.tag, "file": containerfile.read_text(), "packages": requirements}
    with places.turn(print):
        record = find(places.home, NAME, tag(made_of)) or _build(places, engine, hub, made_of)
        hold(places.home, record)
        return record


def _build(places: Places, engine: Engine, hub: Record, made_of: dict[str, str]) -> Record:
    begin = time.monotonic()
    engine.prepare()
    if not engine.has(hub.reference):
        engine.load(Path(hub.archive))
    with tempfile.TemporaryDirectory(dir=places.work) as folder:
        context = Path(folder)
        (context / "Containerfile").write_text(made_of["file"])
        (context / "requirements.txt").write_text(made_of["packages"])
        authorities = os.environ.get("AF_CA_BUNDLE") or os.environ.get("PIP_CERT")
        engine.build(
            reference_of(NAME, tag(made_of)),
            context,
            context / "Containerfile",
            arguments={"HUB": hub.reference},
            secrets={"authorities": Path(authorities)} if authorities else {},
            log=places.logs / f"{NAME}.log",
        )
    record = keep(engine, places, NAME, made_of, begin=begin)
    tidy(places, engine)
    return record
