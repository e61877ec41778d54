"""Up, down and up again, from every state that a crash can leave.

A cluster of its own is broken here, beside the one that the other tests share.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.kube import host
from testbed.kube.cluster import Cluster, machine_problem
from testbed.kube.fixtures import borrowed_cluster
from testbed.kube.node import Node
from testbed.kube.pods import inside, probe_pod, wait_ready
from testbed.kube.recipes import PARTS
from testbed.kube.second import command, command_line, environment, second_settings
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kube.settings import Settings

pytestmark = pytest.mark.faults

PATIENCE = 120.0

OUTSIDE = (
    "/run",
    "/run/containerd",
    "/run/containerd/s",
    "/run/netns",
    "/var/lib",
    "/var/lib/cni",
    "/var/lib/cni/results",
    "/var/log",
    "/var/log/containers",
    "/var/log/pods",
    "/opt",
    "/etc",
    "/etc/cni",
    "/usr/libexec",
)
"""Folders of the system that the parts are known to write to unless they are told not to."""


@pytest.fixture(scope="module")
def second() -> Iterator[Settings]:
    """Give a cluster of this module's own; each test finds it in any state."""
    problem = machine_problem()
    require("kube", problem is None, str(problem))
    with second_settings() as settings:
        yield settings


def up(settings: Settings) -> float:
    """Bring it up, see that it is well, return the seconds."""
    begin = time.monotonic()
    done = command(settings, "up")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(settings.kubeconfig)
    seconds = time.monotonic() - begin
    assert Node(settings).problem() is None
    return seconds


def down(settings: Settings) -> None:
    done = command(settings, "down")
    assert done.returncode == 0, done.stderr
    assert traces(settings) == []


def traces(settings: Settings) -> list[str]:
    """Return what is left of a cluster that is down."""
    found = [str(path) for path in host.control_groups(settings) if path.exists()]
    found += [point for point, _ in host.mounts() if Path(point).is_relative_to(settings.home)]
    found += [
        str(path) for path in (settings.netns, settings.run, settings.kubeconfig) if _is(path)
    ]
    links = host.run("ip", "-brief", "link") + host.run("ip", "route")
    found += [line for line in links.splitlines() if settings.link in line]
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(settings.run) in words:
                found.append(words.replace("\0", " "))
    return found


def _is(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def with_a_pod(settings: Settings) -> Cluster:
    """Let a pod run, so that there is something to clean up."""
    cluster = Cluster.ours(settings)
    cluster.apply(probe_pod(cluster, "default", "left", "serve", "8000/tcp"))
    wait_ready(cluster, "default", "left")
    return cluster


def a_pod_runs(settings: Settings) -> None:
    """See that a new cluster works from end to end."""
    cluster = Cluster.ours(settings)
    assert cluster.get("pods")["items"] == []
    with_a_pod(settings)
    assert "null" in inside(cluster, "default", "left", "devices")


def test_a_second_up_does_nothing_when_all_is_well(second: Settings) -> None:
    up(second)
    before = {name: Node(second).parts.process(name) for name in PARTS}
    assert up(second) < 5
    assert {name: Node(second).parts.process(name) for name in PARTS} == before


def test_nothing_is_left_when_it_is_down_twice(second: Settings) -> None:
    up(second)
    with_a_pod(second)
    down(second)
    down(second)
    assert command(second, "status").returncode == 1


def test_the_machine_is_as_before_when_it_is_down(second: Settings) -> None:
    down(second)

    def state() -> dict[str, object]:
        found: dict[str, object] = {
            folder: sorted(map(str, Path(folder).iterdir())) if Path(folder).is_dir() else None
            for folder in OUTSIDE
        }
        for name in host.SYSCTLS:
            found[name] = (Path("/proc/sys") / name).read_text()
        found["links"] = host.run("ip", "-brief", "link")
        found["routes"] = host.run("ip", "route")
        found["rules"] = host.run("nft", "list", "ruleset")
        return found

    # the kubelet and CNI make their folders once and for all
    up(second)
    with_a_pod(second)
    down(second)
    before = state()
    up(second)
    with_a_pod(second)
    down(second)
    assert state() == before


@pytest.mark.parametrize("part", ["apiserver", "kubelet", "containerd", "etcd"])
def test_it_comes_up_again_when_a_part_was_killed_with_pods_left(
    second: Settings, part: str
) -> None:
    up(second)
    with_a_pod(second)
    Node(second).parts.kill(part)
    done = command(second, "status")
    assert done.returncode == 1
    assert f"{part} does not run" in done.stdout
    up(second)
    a_pod_runs(second)


def test_it_comes_up_again_when_everything_was_killed_at_once(second: Settings) -> None:
    up(second)
    with_a_pod(second)
    for pid in host.pids_in_network(second) | host.pids_in_control_groups(second):
        os.kill(pid, signal.SIGKILL)
    up(second)
    a_pod_runs(second)


@pytest.mark.parametrize("moment", ["etcd", "containerd", "kubelet"])
def test_it_comes_up_again_when_a_start_was_killed_half_way(second: Settings, moment: str) -> None:
    down(second)
    with subprocess.Popen(
        command_line("up"), env=environment(second), stderr=subprocess.DEVNULL
    ) as starting:
        deadline = time.monotonic() + PATIENCE
        while Node(second).parts.process(moment) is None:
            assert time.monotonic() < deadline, "it never started"
            time.sleep(0.005)
        starting.kill()
    assert Node(second).problem() is not None
    up(second)
    a_pod_runs(second)


def test_nothing_is_left_when_a_start_was_killed_half_way(second: Settings) -> None:
    down(second)
    with subprocess.Popen(
        command_line("up"), env=environment(second), stderr=subprocess.DEVNULL
    ) as starting:
        deadline = time.monotonic() + PATIENCE
        while Node(second).parts.process("kubelet") is None:
            assert time.monotonic() < deadline, "it never started"
            time.sleep(0.005)
        starting.kill()
    down(second)


def test_it_comes_up_when_a_plain_file_is_in_the_place_of_the_namespace(second: Settings) -> None:
    down(second)
    second.netns.parent.mkdir(exist_ok=True)
    second.netns.write_text("")
    up(second)
    a_pod_runs(second)


def test_it_comes_up_when_half_a_record_is_left(second: Settings) -> None:
    down(second)
    second.pids.mkdir(parents=True)
    (second.pids / "kubelet").write_text("")
    # a process that took over the number of one of ours: it is not ours, and stays
    (second.pids / "etcd").write_text(f"{os.getpid()} 1\n")
    up(second)


def test_one_of_two_waits_when_both_bring_it_up_at_once(second: Settings) -> None:
    down(second)
    both = [
        subprocess.Popen(
            command_line("up"),
            env=environment(second),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=2 * PATIENCE) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert {out.strip() for out, _ in said} == {str(second.kubeconfig)}
    errors = sorted(error for _, error in said)
    assert sum("up after" in error for error in errors) == 1
    assert sum("waiting for it" in error and "already up" in error for error in errors) == 1
    assert Node(second).problem() is None


def test_it_is_up_or_down_when_both_are_asked_at_once(second: Settings) -> None:
    up(second)
    down_first = subprocess.Popen(
        command_line("down"), env=environment(second), stderr=subprocess.DEVNULL
    )
    up_then = command(second, "up")
    assert down_first.wait(PATIENCE) == 0
    assert up_then.returncode == 0
    assert Node(second).problem() is None or traces(second) == []


def test_images_are_kept_when_it_is_down(second: Settings) -> None:
    up(second)
    stored = second.store / "io.containerd.metadata.v1.bolt" / "meta.db"
    before = stored.stat().st_ino
    down(second)
    up(second)
    assert stored.stat().st_ino == before
    a_pod_runs(second)


def test_the_cluster_of_tests_stays_when_somebody_asked_for_it(second: Settings) -> None:
    down(second)
    with borrowed_cluster(second):
        assert second.borrowed.exists()
    assert traces(second) == []
    with borrowed_cluster(second):
        up(second)
    assert Node(second).problem() is None
    with borrowed_cluster(second):
        pass
    assert Node(second).problem() is None
