"""The bill of materials of an image, read from its files: Debian's, Python's and Node's packages.

A CycloneDX document. What an image declares and what is in it can differ, so nothing here asks a
lock file; what was copied in without a package's record (a file, a binary) is not seen.
"""

from __future__ import annotations

import json
import re
import uuid
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPECIFICATION = "1.6"

PYTHON_PLACES = ("opt/*/lib/python3*/site-packages", "usr/lib/python3/dist-packages")

Component = dict[str, Any]


def document(root: Path, *, name: str, tag: str) -> dict[str, Any]:
    """Return the CycloneDX document of an image whose files lie below `root`.

    Parameters
    ----------
    root
        The image's root folder.
    name, tag
        What the image is called.

    Returns
    -------
    dict
        The same for the same image: it holds no time and its serial number follows from the rest.
    """
    components: dict[str, Component] = {}
    for component in (*_debian(root), *_python(root), *_node(root)):
        components[component["bom-ref"]] = component
    listed = [components[key] for key in sorted(components)]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([name, tag, sorted(components)]))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": serial.urn,
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": f"pkg:oci/{name}@{tag}",
                "name": name,
                "version": tag,
            }
        },
        "components": listed,
    }


def _component(name: str, version: str, purl: str, *, kind: str = "library") -> Component:
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _debian(root: Path) -> Iterator[Component]:
    release = _release(root)
    distribution = f"{release.get('ID', 'debian')}-{release.get('VERSION_CODENAME', 'unknown')}"
    for paragraph in _text(root / "var/lib/dpkg/status").split("\n\n"):
        fields = HeaderParser().parsestr(paragraph)
        name, version = fields["Package"], fields["Version"]
        if not name or "installed" not in (fields["Status"] or "").split():
            continue
        architecture = fields["Architecture"] or "all"
        purl = (
            f"pkg:deb/debian/{quote(name, safe='')}@{quote(version, safe='')}"
            f"?arch={architecture}&distro={distribution}"
        )
        yield _component(name, version, purl)


def _release(root: Path) -> dict[str, str]:
    pairs = re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', _text(root / "etc/os-release"), re.MULTILINE)
    return dict(pairs)


def _python(root: Path) -> Iterator[Component]:
    for place in PYTHON_PLACES:
        for folder in sorted(root.glob(f"{place}/*.dist-info")):
            fields = HeaderParser().parsestr(_text(folder / "METADATA"), headersonly=True)
            name, version = fields["Name"], fields["Version"]
            if not name or not version:
                continue
            canonical = re.sub(r"[-_.]+", "-", name).lower()
            component = _component(
                canonical, version, f"pkg:pypi/{canonical}@{quote(version, safe='')}"
            )
            if expression := fields["License-Expression"]:
                component["licenses"] = [{"expression": expression}]
            yield component


def _node(root: Path) -> Iterator[Component]:
    # only what lies in a node_modules folder is a package of its own
    for path in sorted(root.glob("opt/*/node_modules/**/package.json")):
        above = path.parent.parent
        scoped = above.name.startswith("@")
        if (above.parent if scoped else above).name != "node_modules":
            continue
        try:
            described = json.loads(path.read_text(errors="replace"))
        except ValueError:
            continue
        name, version = described.get("name"), described.get("version")
        if name and version:
            purl = f"pkg:npm/{quote(name, safe='/')}@{quote(version, safe='')}"
            yield _component(name, version, purl)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""
