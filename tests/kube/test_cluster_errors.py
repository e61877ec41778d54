"""What a machine lacks is said in one sentence, and nothing is left half done."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.kube import demands, host
from testbed.kube.cluster import machine_problem
from testbed.kube.second import command, environment, second_settings
from testbed.kube.settings import Settings
from testbed.require import require
from testbed.small_disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def nowhere() -> Iterator[Settings]:
    """Give the settings of a cluster that cannot come up."""
    with tempfile.TemporaryDirectory(prefix="af-kube-") as folder:
        yield Settings(Path(folder) / "home", "afkubenone", 14)


def sentence(settings: Settings, *arguments: str, **more: object) -> str:
    """Run it, see it fail, and return the one line that it said."""
    done = command(settings, *(arguments or ("up",)), **more)  # type: ignore[arg-type]
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_a_missing_package_is_named(nowhere: Settings, tmp_path: Path) -> None:
    require("kube", machine_problem() is None, str(machine_problem()))
    for path in demands.find_programs().values():
        program = Path(path)
        if program.name not in {"etcd", "nsenter"} and "cni" not in path:
            (tmp_path / program.name).symlink_to(program)
    said = sentence(nowhere, PATH=str(tmp_path))
    assert said == (
        "kube: etcd and nsenter are missing; on Debian: apt install etcd-server util-linux, "
        "or make system. [kube-programs]"
    )
    assert not nowhere.home.exists()


def test_an_old_kernel_is_named(nowhere: Settings) -> None:
    before = ("setarch", platform.machine(), "--uname-2.6")
    said = sentence(nowhere, before=before)
    assert said.startswith("kube: The kernel 2.6.")
    assert said.endswith("is too old for the cluster, which needs 5.4 or newer. [kube-kernel]")


@pytest.mark.parametrize("asked", ["up", "down"])
def test_a_user_who_is_not_root_is_told_of_another_way(nowhere: Settings, asked: str) -> None:
    require("kube", os.geteuid() == 0, "only root can be somebody else")
    said = sentence(nowhere, asked, before=("unshare", "--user"))
    assert said == (
        "kube: The cluster needs root, for namespaces and mounts of its own; "
        "elsewhere point KUBECONFIG at a cluster of yours, kind or k3d. [kube-root]"
    )


def test_a_small_disk_is_refused_before_anything_starts(tmp_path: Path) -> None:
    require("kube", machine_problem() is None, str(machine_problem()))
    with second_settings() as shared, small_disk(shared.home / "small", 64) as disk:
        settings = Settings(disk, shared.name, shared.number)
        settings.bin.symlink_to(shared.bin)
        said = sentence(settings)
        assert said == (
            f"kube: {disk} has 0.1 GiB left and the cluster needs 3: free some, "
            "or set AF_KUBE_HOME to a folder on another disk. [kube-disk]"
        )
        assert not settings.netns.exists()
        assert not settings.run.exists()


def test_a_full_disk_is_named_when_it_fills_up_on_the_way(tmp_path: Path) -> None:
    require("kube", machine_problem() is None, str(machine_problem()))
    with second_settings() as shared, small_disk(shared.home / "small", 64) as disk:
        settings = Settings(disk, shared.name, shared.number)
        settings.bin.symlink_to(shared.bin)
        # as if others had filled it after the check; the first image does not fit
        code = (
            "from testbed.kube import __main__, demands\n"
            "demands.GIGABYTES = 0\n"
            "raise SystemExit(__main__.main(['up']))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment(settings),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr == (
            f"kube: The cluster cannot be started: {disk}: No space left on device. [kube-start]\n"
        )
        assert command(settings, "down").returncode == 0
        assert not settings.netns.exists()


def test_a_folder_that_cannot_be_written_is_named(nowhere: Settings) -> None:
    require("kube", machine_problem() is None, str(machine_problem()))
    nowhere.home.write_text("a file")
    said = sentence(nowhere)
    assert (
        said
        == f"kube: {nowhere.home} cannot be written: File exists; set AF_KUBE_HOME. [kube-home]"
    )


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("AF_KUBE_NAME", "../../etc", "kube-name"),
        ("AF_KUBE_NAME", "much-too-long-a-name", "kube-name"),
        ("AF_KUBE_NUMBER", "16", "kube-number"),
        ("AF_KUBE_NUMBER", "one", "kube-number"),
        ("AF_KUBE_HOME", "relative", "kube-home"),
        ("AF_KUBE_HOME", "/" + 80 * "x", "kube-home"),
    ],
)
def test_a_setting_is_refused_when_it_cannot_work(
    nowhere: Settings, variable: str, value: str, code: str
) -> None:
    said = sentence(nowhere, "status", **{variable: value})
    assert variable in said
    assert said.endswith(f"[{code}]")


def test_addresses_are_refused_when_somebody_uses_them(nowhere: Settings) -> None:
    require("kube", machine_problem() is None, str(machine_problem()))
    link = "afkubetaken"
    host.run("ip", "link", "add", link, "type", "dummy")
    try:
        host.run("ip", "link", "set", link, "up")
        host.run("ip", "route", "add", f"{nowhere.pods[256]}/24", "dev", link)
        said = sentence(nowhere)
    finally:
        host.run("ip", "link", "delete", link)
    assert said == (
        f"kube: {nowhere.pods[256]}/24 is in use on {link}; "
        "set AF_KUBE_NUMBER to another number, 0 to 15. [kube-addresses]"
    )
