"""What a cluster has of the machine itself, how it is made, found again and removed.

Everything carries the cluster's name or lies below its folder, and only that is ever touched.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from af_hub.embedded.files import write_atomically

if TYPE_CHECKING:
    from testbed.kube.settings import Settings

SYSCTLS: Final = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
"""What the kubelet sets on its machine, as it sees fit."""

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def program_path() -> str:
    """Return where programs are looked for: Debian keeps some where only root looks."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def run(*command: str, inside: Settings | None = None, check: bool = True) -> str:
    """Run a program to its end and return what it printed.

    Parameters
    ----------
    command
        Name and arguments.
    inside
        The cluster in whose network it runs. Never by ``ip netns exec``: that mounts a new /sys
        without control groups.
    check
        Whether a failure is an error.
    """
    enter = ("nsenter", f"--net={inside.netns}") if inside else ()
    done = subprocess.run(
        [*enter, *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": program_path()},
    )
    if check and done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def mounts() -> list[tuple[str, str]]:
    """Return mount point and type of every mount, in the order of mounting."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), before.split()[4])
        found.append((point, after.split()[0]))
    return found


# --- network -----------------------------------------------------------------------------------


def has_network(settings: Settings) -> bool:
    """Tell whether the handle is a namespace, not just a file of that name."""
    return (str(settings.netns), "nsfs") in mounts()


def make_network(settings: Settings) -> None:
    """Make the namespace, a link into it, and the ways to pods and Services."""
    link = settings.link
    run("ip", "netns", "add", settings.name)
    run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", settings.name)
    run("ip", "addr", "add", f"{settings.host_ip}/30", "dev", link)
    run("ip", "link", "set", link, "up")
    run("ip", "link", "set", "lo", "up", inside=settings)
    run("ip", "addr", "add", f"{settings.node_ip}/30", "dev", "eth0", inside=settings)
    run("ip", "link", "set", "eth0", "up", inside=settings)
    run("ip", "route", "add", "default", "via", settings.host_ip, inside=settings)
    run("sysctl", "-qw", "net.ipv4.ip_forward=1", inside=settings)
    for network in (settings.pods, settings.services):
        run("ip", "route", "replace", str(network), "via", settings.node_ip)


def remove_network(settings: Settings) -> None:
    """Remove namespace and link; the routes go with the link."""
    if has_network(settings):
        run("ip", "netns", "delete", settings.name, check=False)
    settings.netns.unlink(missing_ok=True)
    run("ip", "link", "delete", settings.link, check=False)


def pids_in_network(settings: Settings) -> set[int]:
    """Return the processes that live in the namespace."""
    if not has_network(settings):
        return set()
    ours = settings.netns.stat().st_ino
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                if (entry / "ns" / "net").stat().st_ino == ours:
                    found.add(int(entry.name))
    return found


# --- control groups ----------------------------------------------------------------------------


def control_groups(settings: Settings) -> list[Path]:
    """Return the folder that is ours in each hierarchy, whether it exists or not."""
    hierarchies = [Path(point) for point, kind in mounts() if kind in {"cgroup", "cgroup2"}]
    return [hierarchy / settings.name for hierarchy in dict.fromkeys(hierarchies)]


def make_control_groups(settings: Settings) -> None:
    """Make the groups that all pods will be below."""
    pure = (str(Path("/sys/fs/cgroup")), "cgroup2") in mounts()
    for group in control_groups(settings):
        if group.parent.name == "unified":
            continue
        if pure:
            have = (group.parent / "cgroup.controllers").read_text().split()
            wanted = " ".join(f"+{name}" for name in have)
            (group.parent / "cgroup.subtree_control").write_text(wanted)
        group.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            # in a v1 hierarchy a group without processors takes no process
            if not pure and (group / name).exists():
                (group / name).write_text((group.parent / name).read_text())


def pids_in_control_groups(settings: Settings) -> set[int]:
    """Return the processes of pods."""
    found: set[int] = set()
    for group in control_groups(settings):
        for path in group.rglob("cgroup.procs"):
            with suppress(OSError):
                found |= {int(pid) for pid in path.read_text().split()}
    return found


def remove_control_groups(settings: Settings) -> None:
    """Remove the groups, deepest first. They are empty by now."""
    for group in control_groups(settings):
        for folder, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()


# --- the rest ----------------------------------------------------------------------------------


def remove_mounts(settings: Settings) -> None:
    """Unmount whatever is mounted below the cluster's folder, last first."""
    for _ in range(3):  # one mount may hide another
        ours = [point for point, _ in mounts() if Path(point).is_relative_to(settings.run)]
        for point in reversed(ours):
            run("umount", "--lazy", point, check=False)


def keep_sysctls(settings: Settings) -> None:
    """Write down what the kubelet will change on the machine."""
    found = {}
    for name in SYSCTLS:
        with suppress(OSError):
            found[name] = (Path("/proc/sys") / name).read_text()
    write_atomically(settings.run / "sysctls.json", json.dumps(found))


def restore_sysctls(settings: Settings) -> None:
    """Set again what the kubelet has changed."""
    try:
        kept = json.loads((settings.run / "sysctls.json").read_text())
    except (OSError, ValueError):
        return  # the kubelet was never started
    for name in set(kept) & set(SYSCTLS):
        path = Path("/proc/sys") / name
        with suppress(OSError):
            if path.read_text() != kept[name]:
                path.write_text(kept[name])


def remove_strays(settings: Settings) -> None:
    """Remove what the parts leave in the system's own folders."""
    # sockets of containerd's shims, each named in its container's folder
    for path in (settings.run / "containerd").glob("*/k8s.io/*/address"):
        with suppress(OSError):
            Path(path.read_text().removeprefix("unix://")).unlink()
    # results of CNI, of the loopback that goes with each network too
    results = Path("/var/lib/cni/results")
    for path in results.glob(f"{settings.name}-*-eth0"):
        container = path.name.removeprefix(f"{settings.name}-").removesuffix("-eth0")
        (results / f"cni-loopback-{container}-lo").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    # the kubelet's links to logs
    for link in Path("/var/log/containers").glob("*.log"):
        with suppress(OSError):
            if link.readlink().is_relative_to(settings.run):
                link.unlink()


def remove_state(settings: Settings) -> None:
    """Remove everything that ends with the cluster."""
    settings.kubeconfig.unlink(missing_ok=True)
    if settings.run.exists():
        shutil.rmtree(settings.run)
