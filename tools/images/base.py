"""The Debian that images start from: made from its archive, or a reference that somebody names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tools.images import programs
from tools.images.records import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.images.engine import Engine
    from tools.images.places import Places

OWN = "mmdebstrap"
"""Choice of a base that is made here; no registry is needed for it."""

PUBLIC = "public"
"""Choice of the image that the Containerfile names."""

# as Debian's own slim images: nobody reads these in a container
WITHOUT = ("/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")

# the bootstrap copies these from the machine that builds
FOREIGN = ("etc/resolv.conf", "etc/hostname")

ROOM = 2
"""GiB; the base is written once as an archive and once as a layer."""

APT_SETTINGS = 'Acquire::Check-Valid-Until "false";\n'
"""For suites whose mirror is a snapshot past its date; shown to the build, not left in the image."""


@dataclass(frozen=True)
class Base:
    """What to start from.

    Parameters
    ----------
    reference
        The image; None leaves it to the Containerfile.
    identity
        What goes into the hash of the images above it.
    """

    reference: str | None
    identity: str


def choose(choice: str, suite: str) -> Base | None:
    """Return the base that somebody named, None if it has to be made here."""
    if choice == OWN:
        return None
    if choice == PUBLIC:
        return Base(None, "as the Containerfile says")
    return Base(choice, f"{suite}: {choice}")


def own_base(
    engine: Engine,
    places: Places,
    suite: str,
    report: Callable[[str], None],
    *,
    renew: bool,
) -> Base:
    """Return the base made here, making it if there is none or it is to be renewed.

    Its name holds the moment it was made: packages that images add come from the same moment, so a
    renewed base renews them, too.

    Raises
    ------
    ImageError
        mmdebstrap is missing or failed, or there is no room.
    """
    kept = places.home / f"debian-{suite}.json"
    if kept.exists() and not renew:
        base = Base(**json.loads(kept.read_text()))
        if base.reference and engine.has(base.reference):
            return base
    programs.require_programs({"mmdebstrap": "mmdebstrap"})
    places.require_room(ROOM, "making a base")
    report(f"Making a base from Debian's archive ({suite})")
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    reference = f"localhost/af/debian:{suite}-{moment}"
    log = places.logs / f"debian-{suite}.log"
    log.unlink(missing_ok=True)
    folder = places.work / f"debian-{suite}"
    folder.mkdir(exist_ok=True)
    archive = folder / "base.tar"
    archive.unlink(missing_ok=True)
    excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in WITHOUT]
    foreign = " ".join(f'"$1"/{name}' for name in FOREIGN)
    programs.run(
        [
            "mmdebstrap",
            "--variant=minbase",
            "--aptopt=Acquire::Check-Valid-Until false",
            # a container is given its own
            "--skip=output/dev",
            *excluded,
            f'--customize-hook=rm -f {foreign} "$1"/etc/apt/apt.conf.d/99mmdebstrap',
            suite,
            str(archive),
        ],
        log=log,
        what=f"Making a Debian {suite}",
        environment=engine.environment,
    )
    recipe = folder / "Containerfile"
    recipe.write_text('FROM scratch\nADD base.tar /\nENV LANG=C.UTF-8\nCMD ["bash"]\n')
    engine.build(reference, folder, recipe, arguments={}, secrets={}, log=log)
    archive.unlink()
    base = Base(reference, f"{suite}: made {moment}")
    write_whole(kept, json.dumps(base.__dict__) + "\n")
    return base
