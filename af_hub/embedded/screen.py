"""What a person sees in the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from af_hub.embedded.assembly import uses_development_iam, uses_own_storage
from af_hub.embedded.iam.people import DEMO_PASSWORD, DEMO_PEOPLE
from af_hub.embedded.wiring import is_loopback
from af_hub.embedded.xrootd.availability import has_own_cache, installed_version
from af_hub.xcache.versions import caution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from af_hub.embedded.parts import Part
    from af_hub.embedded.wiring import Wiring


def step(text: str) -> None:
    """Show one line of progress."""
    _say(f"- {text}")


def warn_if_open(wiring: Wiring) -> None:
    """Say loudly that others can get in, if they can."""
    if not is_loopback(wiring.host):
        _say(
            f"!!! WARNING: everybody who reaches {wiring.public_url} can log in and run programs "
            "as you. The passwords are public, and nothing is encrypted."
        )


def say_data(wiring: Wiring) -> None:
    """Say why XRootD does not run, where it was to be expected, or what is wrong with it."""
    if wiring.xrootd_problem is None:
        version = installed_version()
        if version is not None and (sentence := caution(version)):
            step(sentence)
    elif has_own_cache(wiring) or uses_own_storage(wiring):
        step(f"Experiment data by WebDAV only: {wiring.xrootd_problem}")


def ready(wiring: Wiring, parts: Sequence[Part], *, seconds: float) -> None:
    """Show the address, who can log in and what is running.

    The line that begins with ``Ready:`` is what programs wait for.
    """
    _say("")
    if uses_development_iam(wiring):
        _say(f"Log in as one of these demo users, the password is '{DEMO_PASSWORD}':")
        for person in DEMO_PEOPLE:
            groups = " ".join(f"/{group}" for group in sorted(person.groups)) or "no group"
            _say(f"  {person.username:6}  {groups}")
        _say("")
    width = max(len(part.title) for part in parts)
    place = max(len(part.address) for part in parts)
    _say("Running, each with its log:")
    for part in parts:
        log = wiring.layout.log(part.name)
        _say(f"  {part.title:{width}}  {part.address:{place}}  {log}")
    _say("")
    _say(f"Facility file: {wiring.facility_file}")
    warn_if_open(wiring)
    _say(f"Ready: {wiring.public_url}  (after {seconds:.1f} s; Ctrl-C stops everything)")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    # a pipe would keep the line back otherwise
    sys.stdout.flush()
