"""Running the programs that build, and saying in a sentence why one failed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from tools.images.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NEEDED = {"buildah": "buildah", "runc": "runc", "git": "git"}
"""Programs of every build, and Debian's packages with them."""

SEARCHED = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin:/usr/sbin:/sbin"))
"""Where programs are looked for; runc lies where only root looks."""

SENTENCES = (
    (r"no space left on device|No space left on device", "the disk is full"),
    (r"Unable to locate package (?P<what>\S+)", "Debian has no package {what}"),
    (r"has no installation candidate|Package '(?P<what>[^']+)' has no", "Debian has no {what}"),
    (
        r"Temporary failure resolving|Could not resolve host|dns error|Could not connect",
        "the network or a package registry cannot be reached",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|UnknownIssuer",
        "a server's certificate is not trusted: name the file of its authority in AF_CA_BUNDLE",
    ),
    (r"[Hh]ash mismatch|DO NOT MATCH THE HASHES", "a package is not the one of the lock file"),
    (r"setting rlimit", "this machine allows fewer processes than buildah wants"),
)
"""Signs in the output of a failed program, and what they mean."""


def require_programs(needed: Mapping[str, str]) -> None:
    """Check that programs are there.

    Raises
    ------
    ImageError
        Names all that are missing, and the packages to install.
    """
    missing = [name for name in needed if shutil.which(name, path=SEARCHED) is None]
    if missing:
        packages = " ".join(sorted({needed[name] for name in missing}))
        raise ImageError(
            f"Missing to build images: {', '.join(missing)}. "
            f"On Debian, as root: apt-get install {packages} (`make system` does it)."
        )


def explain(output: str) -> str:
    """Return what the output of a failed program says, as the end of a sentence."""
    for sign, sentence in SENTENCES:
        if match := re.search(sign, output):
            return sentence.format(what=match.groupdict().get("what") or "such package")
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"(?i)(error|e:|fatal)", line)]
    return (telling or lines or ["it said nothing"])[-1][:300]


def run(
    command: Sequence[str],
    *,
    log: Path,
    what: str,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a program with its output in `log`; it ends when we do.

    Raises
    ------
    ImageError
        It failed: `what` failed, and why as far as its output tells.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    before = log.stat().st_size if log.exists() else 0
    with log.open("ab") as file:
        done = subprocess.run(
            _mortal(command),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            check=False,
        )
    if done.returncode:
        with log.open("rb") as file:
            file.seek(before)
            output = file.read().decode(errors="replace")
        raise ImageError(f"{what} failed: {explain(output)}. All of its output: {log}")


def answer(
    command: Sequence[str], *, what: str, environment: Mapping[str, str] | None = None
) -> str:
    """Run a program and return what it prints.

    Raises
    ------
    ImageError
        It failed.
    """
    done = subprocess.run(
        _mortal(command), capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise ImageError(f"{what} failed: {explain(done.stderr)}.")
    return done.stdout.strip()


def _mortal(command: Sequence[str]) -> list[str]:
    """Let the kernel end the program when this one is killed, or two builders would be at work."""
    setpriv = shutil.which("setpriv", path=SEARCHED)
    return [*([setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []), *command]
