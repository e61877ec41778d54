"""``python -m af_hub.embedded.network.enter --holder FILE -- PROGRAM …``: run a program inside.

The program ends with the holder of the network: in a namespace without a relay nobody could reach
it, and the supervisor starts it again in the new one. It ends with this process too, whatever
ends that.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from af_hub.embedded.network import namespace
from af_hub.embedded.network.child import Child
from af_hub.embedded.network.holder import wait_for_holder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from af_hub.embedded.network.child import Repeated

PATIENCE = 30.0
"""Seconds to wait for a holder."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A folder or file that the program sees in another place.

    Parameters
    ----------
    source
        What is shown; exists.
    target
        Where; exists too, or lies in the folder in memory and is made.
    read_only
        Whether writing is refused by the kernel.
    """

    source: Path
    target: Path
    read_only: bool = False


def run_inside(
    holder: Path,
    command: Sequence[str],
    *,
    binds: Sequence[Bind] = (),
    memory: Path | None = None,
    hidden: Path | None = None,
    environment: Mapping[str, str] | None = None,
    repeated: Repeated | None = None,
    rewrite: Callable[[bytes], bytes] | None = None,
    root: Path | None = None,
) -> int:
    """Enter the holder's network, run a program there, and return its exit code.

    This process stays inside: call it once, at its end.

    Parameters
    ----------
    holder
        File that names the holder, see `af_hub.embedded.network.holder`.
    command
        Program and arguments.
    binds
        What the program sees in other places.
    memory
        An existing folder over which an empty one in memory is laid: a place for sockets and
        for `binds` with short plain names. It vanishes with the program.
    hidden
        A folder that the program sees empty, except for what `binds` shows of it.
    environment
        The program's environment; None for this process's own.
    repeated
        What is done inside before the program starts, and again while it runs.
    rewrite
        Applied to each line that the program writes; None lets it write by itself.
    root
        Folder that is the program's root: another system, for programs that this one does not
        have. What is shown by `binds` and `memory` is in the same places there; these exist.

    Raises
    ------
    OSError
        The kernel refused a step.
    TimeoutError
        Nobody holds a network.
    """
    watched = wait_for_holder(holder, PATIENCE)
    namespace.enter_network(watched)
    namespace.make_mounts()
    _show(binds, memory, hidden)
    if root is not None:
        _show_in_root(root, [*(each.target for each in binds), *([memory] if memory else [])])
    if repeated is not None:
        repeated.task()
    parent = os.getpid()
    child = Child(
        command,
        environment=environment,
        prepare=lambda: _become_child(parent, root),
        rewrite=rewrite,
    )
    return child.watch(watched, repeated)


def _show(binds: Sequence[Bind], memory: Path | None, hidden: Path | None) -> None:
    # opened before anything is covered: a data folder may lie below the folder in memory
    sources = [os.open(each.source, os.O_PATH) for each in binds]
    for folder in (hidden, memory):
        if folder is not None:
            namespace.mount_memory(folder)
    if hidden is not None:
        os.chdir("/")  # out of it
    for each, descriptor in zip(binds, sources, strict=True):
        source = Path(f"/proc/self/fd/{descriptor}")
        if memory is not None and each.target.is_relative_to(memory):
            _make_target(each.target, folder=source.is_dir())
        namespace.bind(source, each.target, read_only=each.read_only)
        os.close(descriptor)


def _make_target(path: Path, *, folder: bool) -> None:
    (path if folder else path.parent).mkdir(mode=0o700, parents=True, exist_ok=True)
    if not folder:
        path.touch()


def _show_in_root(root: Path, places: Sequence[Path]) -> None:
    shown = {Path("/dev"), Path("/proc")}
    for place in sorted(places):  # a folder before what lies in it
        if shown.isdisjoint(place.parents):
            shown.add(place)
    for place in shown:
        namespace.bind(place, root / place.relative_to("/"))


def _become_child(parent: int, root: Path | None) -> None:
    if root is not None:
        # before the program is executed: that takes all privilege away (capabilities(7))
        os.chroot(root)
        os.chdir("/")
    namespace.become_child(parent)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run the program."""
    parser = argparse.ArgumentParser(
        prog="python -m af_hub.embedded.network.enter", description=__doc__
    )
    parser.add_argument("--holder", type=Path, required=True, help="file that names the holder")
    parser.add_argument(
        "--bind",
        action="append",
        default=[],
        metavar="SOURCE:TARGET",
        help="show a file or folder in another place",
    )
    parser.add_argument("--root", type=Path, help="folder that is the program's root")
    parser.add_argument("command", nargs="+", help="program and arguments, after --")
    options = parser.parse_args(arguments)
    pairs = [each.partition(":") for each in options.bind]
    binds = [Bind(Path(source), Path(target)) for source, _, target in pairs]
    return run_inside(options.holder, options.command, binds=binds, root=options.root)


if __name__ == "__main__":
    sys.exit(main())
