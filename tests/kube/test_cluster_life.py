"""Up, down and up again, from every state that a crash can leave.

A cluster of its own is broken here, beside the one that the other tests share.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.kube import host
from testbed.kube.cluster import Cluster
from testbed.kube.fixtures import borrowed_cluster, require_machine
from testbed.kube.node import Node
from testbed.kube.pods import inside, probe_pod, wait_ready
from testbed.kube.recipes import PARTS
from testbed.kube.second import command, command_line, environment, second_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.kube.settings import Settings

pytestmark = pytest.mark.faults

PATIENCE = 120.0

OUTSIDE = ("/etc", "/opt", "/run", "/usr/libexec", "/var/lib/cni", "/var/lib/kubelet", "/var/log")
"""Folders of the system that the parts write to unless they are told not to."""


@pytest.fixture(scope="module")
def second() -> Iterator[Settings]:
    """Give a cluster of this module's own; each test finds it in any state."""
    require_machine()
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


def test_only_images_are_left_when_it_is_down_twice(second: Settings) -> None:
    up(second)
    with_a_pod(second)
    stored = second.store / "io.containerd.metadata.v1.bolt" / "meta.db"
    before = stored.stat().st_ino
    down(second)
    down(second)
    assert command(second, "status").returncode == 1
    up(second)
    assert stored.stat().st_ino == before
    a_pod_runs(second)


def outside() -> set[str]:
    """Return what the system has of paths, links, routes, rules and settings, one in a line."""
    found = {f"{name}: {(Path('/proc/sys') / name).read_text()}" for name in host.SYSCTLS}
    for folder in OUTSIDE:
        for inner, _, names in os.walk(folder):
            found |= {inner, *(f"{inner}/{name}" for name in names)}
    for shown in ("ip -brief link", "ip route", "nft list ruleset"):
        found |= set(host.run(*shown.split()).splitlines())
    return found


def test_the_machine_is_as_before_when_it_is_down(second: Settings) -> None:
    down(second)
    # other clusters of this machine have containers that come and go: ours are known by their ids
    before = {line for line in outside() if not re.search("[0-9a-f]{64}", line)}
    up(second)
    with_a_pod(second)
    tasks = list((second.run / "containerd").glob("*/k8s.io/*"))
    ours = {task.name for task in tasks}
    ours |= {(task / "address").read_text().rpartition("/")[2] for task in tasks}
    assert len(ours) >= 6  # two pods, in each a container beside the pause; a socket for each pod
    down(second)
    after = outside()
    assert [line for line in after if any(each in line for each in ours)] == []
    assert {line for line in after if not re.search("[0-9a-f]{64}", line)} ^ before == set()


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


def killed_when(settings: Settings, asked: str, condition: Callable[[], bool]) -> None:
    """Start it up or take it down, and kill that as soon as a condition holds."""
    with subprocess.Popen(
        command_line(asked), env=environment(settings), stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it never came so far"
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("moment", ["etcd", "kubelet"])
def test_it_comes_up_again_when_a_start_was_killed_half_way(second: Settings, moment: str) -> None:
    down(second)
    killed_when(second, "up", lambda: Node(second).parts.process(moment) is not None)
    assert Node(second).problem() is not None
    up(second)
    a_pod_runs(second)


def test_nothing_is_left_when_start_and_end_were_killed_half_way(second: Settings) -> None:
    down(second)
    killed_when(second, "up", lambda: Node(second).parts.process("kubelet") is not None)
    killed_when(second, "down", lambda: Node(second).parts.process("kubelet") is None)
    assert traces(second) != []
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
    with subprocess.Popen(["sleep", "600"]) as stranger:
        # its number was that of one of ours before: it is not ours, and stays
        (second.pids / "etcd").write_text(f"{stranger.pid} 1\n")
        up(second)
        assert stranger.poll() is None
        stranger.kill()


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
