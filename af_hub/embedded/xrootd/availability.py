"""Whether this machine can run XRootD for this facility, and if not, why not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from af_hub.embedded.xrootd.server import MEMORY
from af_hub.xcache.versions import generation_of, parse_version

if TYPE_CHECKING:
    from af_hub.embedded.wiring import Wiring
    from af_hub.xcache.versions import Generation, Version

INSTALL = (
    "on Debian or Ubuntu: apt install xrootd-server xrootd-server-plugins xrootd-scitokens-plugins"
)

PLUGINS = ("XrdPss", "XrdPfc", "XrdHttp", "XrdSecgsi", "XrdSecztn", "XrdAccSciTokens")
"""What origin and cache load."""

SETTINGS = (
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),  # Ubuntu 23.10 and later
    ("kernel.unprivileged_userns_clone", "0", "1"),  # older Debian
    ("user.max_user_namespaces", "0", "10000"),  # older Red Hat
)
"""Kernel settings by which a system refuses: name, refusing value, allowing value."""

TIMEOUT = 20.0
"""Seconds for a program that only says something about itself."""


def xrootd_problem(wiring: Wiring) -> str | None:
    """Return why XRootD cannot run here, as the end of a sentence, or None if it can.

    Parameters
    ----------
    wiring
        The facility.
    """
    return facility_problem(wiring) or programs_problem() or network_problem()


def has_own_cache(wiring: Wiring) -> bool:
    """Tell whether the facility file has a cache that is to run on this machine."""
    doors = wiring.facility.doors_of_the_cache()
    return any(door.url.startswith(f"{wiring.xcache_url}/") for door in doors)


def doors_left_out(wiring: Wiring) -> tuple[str, ...]:
    """Return the names of the storage doors that lead nowhere because XRootD does not run.

    Parameters
    ----------
    wiring
        The facility.
    """
    if wiring.xrootd_problem is None or not has_own_cache(wiring):
        return ()
    return tuple(door.name for door in wiring.facility.doors_of_the_cache())


def facility_problem(wiring: Wiring) -> str | None:
    """Return what the facility file lacks for a cache on this machine."""
    facility = wiring.facility
    if facility.xcache is None or not has_own_cache(wiring):
        return (
            f"{wiring.facility_file} has no section xcache with a door at {wiring.xcache_url} "
            "(a new facility file has one: give this one another name and start again)"
        )
    if not facility.xcache.origin_address.is_loopback:
        return "the inner network reaches no origin on another machine"
    if facility.identity.issuer.rstrip("/") != wiring.issuer.rstrip("/"):
        return "the inner network reaches no identity provider on another machine"
    return None


def programs_problem() -> str | None:
    """Return which programs are missing or do not work."""
    program = shutil.which("xrootd")
    if program is None:
        return f"xrootd is missing ({INSTALL})"
    missing = [name for name in PLUGINS if not _has_plugin(name, Path(program))]
    if missing:
        return f"plug-ins of xrootd are missing: {', '.join(missing)} ({INSTALL})"
    if installed_generation() is None:
        return f"{program} does not run (xrootd -v)"
    return None


def network_problem() -> str | None:
    """Return why this process may not make a network of its own."""
    if not MEMORY.is_dir():
        return f"this system has no folder {MEMORY}"
    try:
        # a process of its own: what it does cannot be undone
        answer = subprocess.run(
            [sys.executable, "-m", "af_hub.embedded.network.trial", str(MEMORY)],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"this system did not answer whether it allows a network of its own ({error})"
    if answer.returncode == 0:
        return None
    reason = (answer.stdout + answer.stderr).strip().rpartition("\n")[2]
    return f"this system refuses a network of its own ({reason}){_advice()}"


def _advice() -> str:
    """Return what to do against the two refusals that a setting causes."""
    for name, refusing, setting in SETTINGS:
        try:
            value = Path("/proc/sys", name.replace(".", "/")).read_text(encoding="ascii").strip()
        except OSError:
            continue  # another kernel
        if value == refusing:
            return f"; an administrator can allow it: sysctl {name}={setting}"
    return ""


def installed_version() -> Version | None:
    """Return the version of the installed xrootd, None without one."""
    try:
        answer = subprocess.run(
            ["xrootd", "-v"], capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
        return parse_version((answer.stdout + answer.stderr).strip())
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None


def installed_generation() -> Generation | None:
    """Return the form of configuration that the installed xrootd reads, None without one."""
    version = installed_version()
    return None if version is None else generation_of(version)


def _has_plugin(name: str, program: Path) -> bool:
    """Look where the dynamic linker would: Debian's, Fedora's and conda's folders."""
    prefix = program.resolve().parents[1]
    folders = [prefix / "lib", prefix / "lib64", *(prefix / "lib").glob("*-linux-gnu")]
    return any(next(folder.glob(f"lib{name}-*.so"), None) for folder in folders)
