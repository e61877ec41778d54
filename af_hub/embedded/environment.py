"""The small clean environment that every part starts with."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from af_hub.embedded.parts import INSTANCE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = (
    "HOME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
    "http_proxy",
    "https_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
)
"""What parts may see of the caller's environment. Everything else, so every credential that an
administrator happens to have exported, stays out of Labs and jobs."""

LOCAL = ("127.0.0.1", "localhost", "::1")


def part_environment(instance: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a part.

    Parameters
    ----------
    instance
        Id of the facility, the mark that the guard looks for.
    extra
        What this part needs beside it.
    """
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    # the programs of this Python's environment first, whether it is activated or not
    own = str(Path(sys.prefix) / "bin")
    environment["PATH"] = os.pathsep.join((own, os.environ.get("PATH", os.defpath)))
    environment.update(without_proxy())
    # a log file shall show a line when it is written, not when 8 kB have come together
    environment["PYTHONUNBUFFERED"] = "1"
    environment.update(extra or {})
    environment[INSTANCE_VARIABLE] = instance
    return environment


def without_proxy(*hosts: str) -> dict[str, str]:
    """Return the variables that keep requests to this machine from the site's web proxy.

    Parameters
    ----------
    hosts
        Further addresses of this machine.
    """
    names = [part for part in os.environ.get("no_proxy", "").split(",") if part]
    value = ",".join(dict.fromkeys((*names, *LOCAL, *hosts)))
    return {"no_proxy": value, "NO_PROXY": value}
