"""Which images there are and what each is made from."""

from __future__ import annotations

from dataclasses import dataclass

BASE_ARGUMENT = "DEBIAN"
"""The argument of a Containerfile that names the image it starts from."""

PARENT_ARGUMENT = "LAB"
"""The same where the image extends our Lab image."""


@dataclass(frozen=True)
class Image:
    """One folder of `images/`.

    Parameters
    ----------
    name
        Name of the folder and of the image.
    debian
        Suite of the Debian that it starts from.
    parent
        Image that it extends instead.
    files
        Tracked files and folders beside its own folder that its Containerfile copies.
    project
        Whether the wheel of this project goes in, as ``dist/*.whl``.
    proxy
        Whether configurable-http-proxy goes in, as ``proxy/``.
    room
        Free disk that a first build needs, in GiB: layers, the archive, and what is on its way.
    """

    name: str
    debian: str = "trixie"
    parent: str | None = None
    files: tuple[str, ...] = ()
    project: bool = True
    proxy: bool = False
    room: int = 3


LOCKED = ("images/install-locked", "requirements/bootstrap.txt")
"""What installs a hash-locked list of Python packages."""

XCACHE_MODULES = ("closings", "exporter", "metrics", "report")

IMAGES = {
    image.name: image
    for image in (
        Image("hub", files=LOCKED, proxy=True),
        Image("lab", files=LOCKED, room=8),
        # Debian 12 and 13 carry an XRootD with known faults
        Image(
            "xcache",
            debian="sid",
            files=tuple(f"af_hub/xcache/{name}.py" for name in XCACHE_MODULES),
            project=False,
        ),
        Image("dask-gateway", files=LOCKED),
        Image("lab-root", parent="lab", files=LOCKED, project=False, room=8),
        Image("lab-gpu", parent="lab", files=LOCKED, project=False, room=24),
    )
}

DEFAULT = ("hub", "lab", "xcache", "dask-gateway")
"""What `build` without a name builds; the others are large and have targets of their own."""
