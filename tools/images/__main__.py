"""Command line: ``python -m tools.images build|reference|sbom|context``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tools.images.base import OWN
from tools.images.build import Builder, lay_context
from tools.images.catalogue import DEFAULT, IMAGES
from tools.images.errors import ImageError
from tools.images.places import ROOT, Places


def report(line: str) -> None:
    """Say what takes time."""
    print(f"- {line}", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(prog="python -m tools.images", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="build images whose inputs have changed")
    build.add_argument("names", nargs="*", choices=[[], *IMAGES], metavar="NAME")
    build.add_argument(
        "--renew", action="store_true", help="start from a new Debian, for its updates"
    )
    for verb, help_ in (
        ("reference", "print an image's reference, building it if needed"),
        ("sbom", "print the path of an image's bill of materials, building it if needed"),
        ("context", "lay the files of a Containerfile into a folder, for another builder"),
    ):
        one = verbs.add_parser(verb, help=help_)
        one.add_argument("name", choices=IMAGES)
        if verb == "context":
            one.add_argument("folder", type=Path)
    for verb in ("build", "reference", "sbom"):
        verbs.choices[verb].add_argument(
            "--base-image",
            default=os.environ.get("AF_BASE_IMAGE") or OWN,
            help=f"{OWN} (made here from Debian's archive; the default), public (what the "
            "Containerfile names), or a reference; also in AF_BASE_IMAGE",
        )
    return top


def main(words: list[str] | None = None) -> int:
    """Do what the command line says; 1 and a sentence if that is not possible."""
    asked = parser().parse_args(words)
    try:
        if asked.verb == "context":
            places = Places.default()
            places.prepare()
            lay_context(IMAGES[asked.name], ROOT, places, asked.folder, report)
            return 0
        builder = Builder(report, base_image=asked.base_image)
        if asked.verb == "build":
            builder.renew = asked.renew
            for record in builder.build(asked.names or DEFAULT):
                sizes = f"{record.size / 1e6:.0f} MB, unpacked {record.unpacked / 1e6:.0f} MB"
                print(f"{record.reference}  {sizes}, built in {record.seconds:.0f} s")
            return 0
        (record,) = builder.build([asked.name])
        print(record.reference if asked.verb == "reference" else record.sbom)
    except ImageError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
