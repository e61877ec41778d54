"""What control groups say, from trees of files as both versions and the container engines make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from af_labextension.memory.cgroups import Group, groups, limited_groups
from af_labextension.memory.reading import GIB, MIB, Reading

if TYPE_CHECKING:
    from pathlib import Path

PAGE_LIMIT = 9223372036854771712
"""How version 1 writes that there is no limit."""

POD = "/kubepods/burstable/pod1234/abcd"

NO_MEMORY = "9:name=systemd:/a\n4:cpu,cpuacct:/b\n"


class Machine:
    """A ``/proc`` and a place for control groups."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.mount = folder / "cgroup"
        (self.proc / "self").mkdir(parents=True)
        self.mount.mkdir()
        self.lines: list[str] = ["22 1 0:20 / /proc rw - proc proc rw"]

    def mounts(self, kind: str, root: str, where: str = "", options: str = "rw") -> Path:
        """Mount a group at a folder below."""
        point = self.mount / where
        point.mkdir(parents=True, exist_ok=True)
        text = str(point).replace(" ", "\\040")
        self.lines.append(
            f"35 31 0:32 {root} {text} rw,relatime shared:9 - {kind} cgroup {options}"
        )
        (self.proc / "self/mountinfo").write_text("\n".join(self.lines) + "\n")
        return point

    def belongs(self, text: str) -> None:
        """Say which groups the process is in."""
        (self.proc / "self/cgroup").write_text(text)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine; its folder has a space in its name."""
    return Machine(tmp_path / "a machine")


def version_1(folder: Path, limit: int, usage: int = 0, **stat: int) -> None:
    """Make the files of a group."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{usage}\n")
    (folder / "memory.stat").write_text("".join(f"{key} {value}\n" for key, value in stat.items()))


def version_2(folder: Path, limit: str, usage: int = 0, high: str = "max", **stat: int) -> None:
    """Make the files of a group."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.high").write_text(f"{high}\n")
    (folder / "memory.current").write_text(f"{usage}\n")
    (folder / "memory.stat").write_text("".join(f"{key} {value}\n" for key, value in stat.items()))


def test_page_cache_is_not_counted_when_version_1_tells_it(machine: Machine) -> None:
    machine.mounts("cgroup", "/", "memory", "rw,memory")
    machine.belongs(f"{NO_MEMORY}3:memory:/lab\n0::/\n")
    version_1(
        machine.mount / "memory/lab",
        GIB,
        900 * MIB,
        inactive_file=1,  # of this group alone; those inside count, too
        total_inactive_file=500 * MIB,
        total_active_file=100 * MIB,
        total_rss=250 * MIB,
    )
    version_1(machine.mount / "memory", PAGE_LIMIT, 3 * GIB)
    (group,) = limited_groups(machine.proc)
    assert group.read() == Reading(300 * MIB, GIB, None)


def test_page_cache_is_not_counted_when_version_2_tells_it(machine: Machine) -> None:
    machine.mounts("cgroup2", "/")
    machine.belongs("0::/user.slice/lab\n")
    version_2(
        machine.mount / "user.slice/lab",
        str(GIB),
        900 * MIB,
        inactive_file=500 * MIB,
        active_file=80 * MIB,
        slab_reclaimable=20 * MIB,
        shmem=30 * MIB,
        anon=250 * MIB,
    )
    (group,) = limited_groups(machine.proc)
    assert group.read() == Reading(300 * MIB, GIB, None)


def test_the_line_is_where_everything_slows_down_when_that_comes_first(machine: Machine) -> None:
    machine.mounts("cgroup2", "/")
    machine.belongs("0::/\n")
    version_2(machine.mount, str(4 * GIB), 100 * MIB, high=str(3 * GIB))
    (group,) = limited_groups(machine.proc)
    reading = group.read()
    assert reading is not None
    assert reading.line() == 3 * GIB


def test_version_1_has_the_memory_when_the_system_is_hybrid(machine: Machine) -> None:
    machine.mounts("cgroup", "/", "memory", "rw,memory")
    machine.mounts("cgroup2", "/", "unified")
    machine.belongs("3:cpu,memory:/lab\n0::/lab\n")
    version_1(machine.mount / "memory/lab", 2 * GIB)
    version_2(machine.mount / "unified/lab", str(GIB))
    assert [group.limit for group in limited_groups(machine.proc)] == [2 * GIB]


def test_version_2_has_the_memory_when_version_1_is_there_without_it(machine: Machine) -> None:
    machine.mounts("cgroup", "/", "cpu", "rw,cpu,cpuacct")
    machine.mounts("cgroup2", "/", "unified")
    machine.belongs(f"{NO_MEMORY}0::/lab\n")
    version_2(machine.mount / "unified/lab", str(GIB))
    assert [group.limit for group in limited_groups(machine.proc)] == [GIB]


@pytest.mark.parametrize(
    ("root", "path"),
    [
        (POD, POD),  # no namespace: the host's path, and the container's own group mounted
        ("/", "/"),  # a namespace of its own
        (POD, "/"),
        ("/..", "/../../other"),  # moved out of the namespace's root afterwards
        ("/docker/1", "/docker/12"),  # another group whose name begins alike
        ("/", "/not/to/be/seen/here"),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_the_containers_limit_is_found_when_it_is_mounted_alone(
    machine: Machine, version: int, root: str, path: str
) -> None:
    if version == 1:
        point = machine.mounts("cgroup", root, "memory", "rw,memory")
        machine.belongs(f"{NO_MEMORY}4:memory:{path}\n")
        version_1(point, GIB)
    else:
        point = machine.mounts("cgroup2", root)
        machine.belongs(f"0::{path}\n")
        version_2(point, str(GIB))
    (group,) = limited_groups(machine.proc)
    assert (group.folder, group.limit) == (point, GIB)


def test_all_limits_around_are_found_when_groups_are_nested(machine: Machine) -> None:
    machine.mounts("cgroup2", "/")
    machine.belongs("0::/kubepods/pod1/lab/kernels\n")
    (machine.mount / "kubepods/pod1/lab/kernels").mkdir(parents=True)
    version_2(machine.mount / "kubepods/pod1/lab", str(2 * GIB))
    version_2(machine.mount / "kubepods/pod1", str(GIB))
    version_2(machine.mount / "kubepods", "max")
    found = limited_groups(machine.proc)
    assert [(group.folder.name, group.limit) for group in found] == [
        ("lab", 2 * GIB),
        ("pod1", GIB),
    ]


@pytest.mark.parametrize(
    ("version", "file"),
    [(1, "memory/memory.oom_control"), (2, "memory.events")],
)
def test_kills_of_the_system_are_counted(machine: Machine, version: int, file: str) -> None:
    if version == 1:
        version_1(machine.mounts("cgroup", "/", "memory", "rw,memory"), GIB)
        machine.belongs("4:memory:/\n")
    else:
        version_2(machine.mounts("cgroup2", "/"), str(GIB))
        machine.belongs("0::/\n")
    (group,) = groups(machine.proc)
    assert group.kills() == 0
    (machine.mount / file).write_text("oom 7\nunder_oom 1\noom_kill 3\noom_group_kill 9\n")
    assert group.kills() == 3


def test_nothing_is_watched_when_there_is_no_limit(machine: Machine) -> None:
    machine.mounts("cgroup", "/", "memory", "rw,memory")
    machine.belongs("4:memory:/lab\n")
    version_1(machine.mount / "memory/lab", PAGE_LIMIT)
    assert groups(machine.proc) != []
    assert limited_groups(machine.proc) == []


def test_nothing_is_watched_when_there_are_no_control_groups(machine: Machine) -> None:
    assert limited_groups(machine.proc) == []
    machine.belongs("")
    (machine.proc / "self/mountinfo").write_text("")
    assert limited_groups(machine.proc) == []


def test_a_limit_that_is_changed_counts_at_the_next_look(machine: Machine) -> None:
    machine.mounts("cgroup2", "/")
    machine.belongs("0::/\n")
    version_2(machine.mount, str(GIB), MIB)
    (group,) = limited_groups(machine.proc)
    version_2(machine.mount, str(2 * GIB), MIB)  # a pod resized in place
    assert group.read() == Reading(MIB, 2 * GIB, None)
    version_2(machine.mount, "max", MIB)
    assert group.read() is None


def test_the_cache_is_asked_for_only_when_the_group_is_half_full(machine: Machine) -> None:
    machine.mounts("cgroup2", "/")
    machine.belongs("0::/\n")
    version_2(machine.mount, str(GIB), 500 * MIB, inactive_file=400 * MIB)
    (group,) = limited_groups(machine.proc)
    assert group.read() == Reading(500 * MIB, GIB, None)
    version_2(machine.mount, str(GIB), 600 * MIB, inactive_file=400 * MIB)
    assert group.read() == Reading(200 * MIB, GIB, None)
    group.close()


def test_processes_of_inner_groups_count_when_a_group_is_asked(machine: Machine) -> None:
    point = machine.mounts("cgroup2", "/")
    machine.belongs("0::/\n")
    version_2(point, str(GIB))
    version_2(point / "inner/most", str(GIB))
    (group,) = groups(machine.proc)
    assert group.processes() is None
    for folder, text in ((point, "1\n20\n"), (point / "inner", ""), (point / "inner/most", "7\n")):
        (folder / "cgroup.procs").write_text(text)
    assert group.processes() == frozenset({1, 7, 20})


def test_the_machine_of_the_tests_can_be_read() -> None:
    for group in groups():
        assert isinstance(group, Group)
        assert group.processes() is None or group.processes()
