"""Linux namespaces by system call: `os.unshare` and `os.setns` came with Python 3.12 only.

A user namespace comes first: in it an ordinary user may make the others (user_namespaces(7)). The
caller, root as well, is user 1000 inside: xrootd refuses to run as user 0. Files that are written
inside belong to the caller outside, for both numbers are the same person to the kernel.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
from pathlib import Path

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWNET = 0x4000_0000

MS_RDONLY = 1
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38

SIOCSIFFLAGS = 0x8914
IFF_UP = 1

USER = 1000
"""Who the caller is inside; any number but 0."""

HOSTNAME = "localhost"
"""Name of the machine inside; XRootD looks up its own name, and there is no name server."""

_libc = ctypes.CDLL(None, use_errno=True)


def make_network() -> None:
    """Move this process into a new user and a new network namespace, the loopback device up.

    The process must have one thread only (unshare(2)). Sockets that it has already stay in the
    network where they were made.

    Raises
    ------
    OSError
        The kernel, its security module or a container's seccomp filter refuses.
    """
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", CLONE_NEWUSER | CLONE_NEWNET)
    # user_namespaces(7): without privilege the groups may be mapped only when setgroups is off
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{USER} {uid} 1"),
        ("gid_map", f"{USER} {gid} 1"),
    ):
        Path("/proc/self", name).write_text(text, encoding="ascii")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        fcntl.ioctl(device, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", IFF_UP))


def enter_network(pidfd: int) -> None:
    """Move this process into the user and network namespaces of another one.

    Parameters
    ----------
    pidfd
        What `os.pidfd_open` returned for that process; setns(2) knows it since Linux 5.8.

    Raises
    ------
    OSError
        ``ESRCH`` if that process has ended.
    """
    _call("setns", pidfd, CLONE_NEWUSER | CLONE_NEWNET)


def make_mounts() -> None:
    """Give this process mounts and a host name of its own; those of the system stay untouched."""
    _call("unshare", CLONE_NEWNS | CLONE_NEWUTS)
    _call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    name = HOSTNAME.encode()
    _call("sethostname", name, len(name))


def bind(source: Path, target: Path, *, read_only: bool = False) -> None:
    """Show `source` at `target`, for this process and its children only.

    Parameters
    ----------
    source, target
        Two folders or two files; both exist.
    read_only
        Whether the kernel refuses to write by way of `target`.
    """
    _call("mount", bytes(source), bytes(target), None, MS_BIND | MS_REC, None)
    if read_only:
        # flags of the mount below are locked in a user namespace: they have to be given again
        # (mount_namespaces(7)); those of statvfs(3) and mount(2) have the same numbers here
        locked = os.statvfs(target).f_flag & 0xF
        flags = MS_REMOUNT | MS_BIND | MS_RDONLY | locked
        _call("mount", None, bytes(target), None, flags, None)


def mount_memory(target: Path) -> None:
    """Lay an empty folder in memory over `target`, for this process and its children only."""
    _call("mount", b"tmpfs", bytes(target), b"tmpfs", 0, b"mode=0700,size=1m")


def become_child(parent: int) -> None:
    """Prepare a forked child that is about to execute a program.

    It dies with its parent, gains no privilege by set-uid programs, and leaves no core dump, in
    which tokens would lie.

    Parameters
    ----------
    parent
        Process id of the parent, which may have died already.
    """
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _call(name: str, *arguments: bytes | int | None) -> None:
    if getattr(_libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
