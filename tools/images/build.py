"""From a name to an archive, doing only what is not done yet."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from af_hub.embedded.proxy import FILES, SOURCE, proxy_folder
from af_hub.embedded.setup import install_proxy
from af_hub.errors import SetupError
from tools.images import base as bases
from tools.images import programs, records, sbom
from tools.images.catalogue import BASE_ARGUMENT, IMAGES, PARENT_ARGUMENT, Image
from tools.images.engine import Engine
from tools.images.errors import ImageError
from tools.images.inputs import copy, fingerprint, tag, tracked
from tools.images.places import ROOT, Places
from tools.images.retention import number_kept, tidy
from tools.images.wheel import wheel, wheel_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tools.images.records import Record

FORMAT = "1"
"""Raised when the same inputs give another image, because this builder has changed."""


@dataclass
class Builder:
    """Builds images of one checkout into one folder.

    Parameters
    ----------
    report
        Called with a line for each thing that takes time.
    places
        Where built things lie.
    root
        The checkout.
    base_image
        ``mmdebstrap``, ``public`` or a reference.
    renew
        Whether to make a new base first, so that Debian's updates get in.
    images
        What there is to build.
    """

    report: Callable[[str], None]
    places: Places = field(default_factory=Places.default)
    root: Path = ROOT
    base_image: str = bases.OWN
    renew: bool = False
    images: Mapping[str, Image] = field(default_factory=lambda: IMAGES)

    def __post_init__(self) -> None:
        self._engine = Engine(self.places)
        self._renewed: set[str] = set()
        self._built = False

    def build(self, names: Sequence[str]) -> list[Record]:
        """Return the images' records, building those that are not there; waits for its turn.

        Raises
        ------
        ImageError
            Something is missing or failed, in a sentence.
        """
        programs.require_programs(programs.NEEDED)
        number_kept()  # said before minutes of work
        self.places.prepare()
        try:
            with self.places.turn(self.report):
                self._engine.prepare()
                found = [self._image(self.images[name]) for name in names]
                if self._built:
                    tidy(self.places, self._engine)
                return found
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise ImageError(
                f"The disk of {self.places.home} is full. Make room, or name a folder on another "
                "disk in AF_IMAGES_HOME; what was half done is removed by the next build."
            ) from error
        except SetupError as error:
            raise ImageError(error.message) from error

    def _image(self, image: Image) -> Record:
        parent = self._image(self.images[image.parent]) if image.parent else None
        base = bases.Base(parent.reference, parent.reference) if parent else self._base(image)
        inputs = self._inputs(image, base)
        name = tag(inputs)
        if record := records.find(self.places.home, image.name, name):
            return record
        self.places.require_room(image.room, f"building {image.name}")
        self._clean()
        begin = time.monotonic()
        reference = records.reference_of(image.name, name)
        log = self.places.logs / f"{image.name}.log"
        log.unlink(missing_ok=True)
        if parent and not self._engine.has(parent.reference):
            self._engine.load(Path(parent.archive))
        with self._context(image) as (context, secrets):
            self.report(f"Building {reference}")
            argument = PARENT_ARGUMENT if parent else BASE_ARGUMENT
            self._engine.build(
                reference,
                context,
                context / "images" / image.name / "Containerfile",
                arguments={argument: base.reference} if base.reference else {},
                secrets=secrets,
                log=log,
                may_pull=not parent and self.base_image != bases.OWN,
            )
        self.report(f"Writing {records.archive_path(self.places.home, image.name, name)}")
        self._built = True
        return keep(self._engine, self.places, image.name, inputs, begin=begin)

    def _base(self, image: Image) -> bases.Base:
        if chosen := bases.choose(self.base_image, image.debian):
            return chosen
        renew = self.renew and image.debian not in self._renewed
        self._renewed.add(image.debian)
        return bases.own_base(self._engine, self.places, image.debian, self.report, renew=renew)

    def _inputs(self, image: Image, base: bases.Base) -> dict[str, str]:
        inputs = {
            "format": FORMAT,
            "base": base.identity,
            "files": fingerprint(self.root, self._files(image)),
        }
        if image.project:
            inputs["project"] = fingerprint(self.root, wheel_files(self.root))
        if image.proxy:
            inputs["proxy"] = fingerprint(SOURCE, FILES)
        return inputs

    def _files(self, image: Image) -> list[str]:
        return tracked(self.root, f"images/{image.name}", *image.files)

    @contextmanager
    def _context(self, image: Image) -> Iterator[tuple[Path, dict[str, Path]]]:
        """Lay the files that the Containerfile copies, and those it is only shown."""
        with tempfile.TemporaryDirectory(prefix="context-", dir=self.places.work) as folder:
            context = Path(folder) / "context"
            lay_context(image, self.root, self.places, context, self.report)
            apt = Path(folder) / "apt.conf"
            apt.write_text(bases.APT_SETTINGS if self.base_image == bases.OWN else "")
            secrets = {"apt": apt}
            authorities = os.environ.get("AF_CA_BUNDLE") or os.environ.get("PIP_CERT")
            if authorities:
                secrets["authorities"] = Path(authorities)
            yield context, secrets

    def _clean(self) -> None:
        """Remove what a killed builder left; nobody else is at work in our turn."""
        self._engine.sweep()
        for path in (*self.places.home.glob(".*.part"), *self.places.wheels.glob(".half-*")):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        for path in self.places.work.glob("context-*"):
            shutil.rmtree(path)


def keep(
    engine: Engine, places: Places, name: str, inputs: Mapping[str, str], *, begin: float
) -> Record:
    """Write archive, bill of materials and record of an image that is in the storage now.

    Parameters
    ----------
    engine, places
        Where it is, and where it goes.
    name
        Of the image.
    inputs
        What it was made from.
    begin
        When its building began, by the monotonic clock.
    """
    named = tag(inputs)
    reference = records.reference_of(name, named)
    archive = records.archive_path(places.home, name, named)
    bill = records.sbom_path(places.home, name, named)
    with engine.files(reference) as mounted:
        content = sbom.document(Path(mounted), name=name, tag=named)
        unpacked = size(Path(mounted))
    records.write_whole(bill, json.dumps(content, indent=1) + "\n")
    engine.save(reference, archive, log=places.logs / f"{name}.log")
    record = records.Record(
        name=name,
        tag=named,
        reference=reference,
        archive=str(archive),
        sbom=str(bill),
        size=archive.stat().st_size,
        unpacked=unpacked,
        seconds=round(time.monotonic() - begin, 1),
        inputs=inputs,
    )
    records.write(places.home, record)
    return record


def lay_context(
    image: Image, root: Path, places: Places, target: Path, report: Callable[[str], None]
) -> None:
    """Copy everything that a Containerfile copies into a folder, for any builder of images."""
    target.mkdir(parents=True)
    copy(root, tracked(root, f"images/{image.name}", *image.files), target)
    if image.project:
        built = wheel(root, places, report)
        (target / "dist").mkdir()
        shutil.copyfile(built, target / "dist" / built.name)
        (target / "dist" / built.name).chmod(0o644)
    if image.proxy:
        install_proxy(report)
        shutil.copytree(proxy_folder(), target / "proxy", symlinks=True)
        for path in (target / "proxy", *(target / "proxy").rglob("*")):
            if not path.is_symlink():
                executable = path.is_dir() or os.access(path, os.X_OK)
                path.chmod(0o755 if executable else 0o644)


def size(root: Path) -> int:
    """Return the bytes of all files below `root`, each counted once."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            status = Path(folder, name).lstat()
            found[status.st_ino] = status.st_size
    return sum(found.values())
