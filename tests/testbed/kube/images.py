"""OCI archives of a single static program, and what an archive says of itself.

An image that holds one file needs no builder: a layer is a tar file, and three small JSON files
around it make it an image.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_MEDIA = "application/vnd.oci.image"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def pack(target: Path, reference: str, program: Path) -> None:
    """Write an archive whose image holds `program` and starts it.

    The same program makes the same bytes. Nobody sees a half-written archive.

    Parameters
    ----------
    target
        The archive.
    reference
        Full name of the image, with its tag.
    program
        A static executable; it becomes ``/NAME``.
    """
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    machine = os.uname().machine
    config = _json(
        {
            "architecture": _MACHINES.get(machine, machine),
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"], "User": "65532:65532"},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "config": _descriptor("config.v1+json", config),
            "layers": [_descriptor("layer.v1.tar", layer)],
        }
    )
    names = {
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": reference,
    }
    index = {**_descriptor("manifest.v1+json", manifest), "annotations": names}
    blobs = {f"blobs/sha256/{_digest(each)[7:]}": each for each in (layer, config, manifest)}
    archive = _tar(
        {
            "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
            "index.json": _json({"schemaVersion": 2, "manifests": [index]}),
            **blobs,
        },
        mode=0o644,
    )
    half = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        half.write_bytes(archive)
        half.replace(target)
    finally:
        half.unlink(missing_ok=True)


def contents(archive: Path) -> dict[str, str]:
    """Return the digest of each named image in an OCI archive.

    An image that has no full name in it (``buildah push`` writes just the tag where it is told
    nothing else) is left out.
    """
    with tarfile.open(archive) as packed:
        stream = packed.extractfile("index.json")
        assert stream, f"{archive} has no index"
        index = json.load(stream)
    found = {}
    for manifest in index["manifests"]:
        names = manifest.get("annotations", {})
        short = names.get("org.opencontainers.image.ref.name", "")
        name = names.get("io.containerd.image.name") or short
        if "/" in name:
            found[name] = manifest["digest"]
    return found


def _tar(files: dict[str, bytes], *, mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as packed:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            packed.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _descriptor(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": f"{_MEDIA}.{kind}", "digest": _digest(data), "size": len(data)}
