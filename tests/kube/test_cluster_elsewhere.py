"""The tests need nothing but ``KUBECONFIG``: a cluster of a contributor's own serves as well."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.kube.second import command_line

if TYPE_CHECKING:
    from testbed.kube.cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]

CHOSEN = (
    "tests/kube/test_cluster.py::test_a_node_sees_no_secret_when_none_of_its_pods_has_it",
    "tests/kube/test_cluster.py::test_the_third_pod_waits_with_its_reason_when_there_are_two_gpus",
    "tests/kube/test_cluster.py::test_pods_run_and_start_again_when_a_part_was_killed[etcd]",
    (
        "tests/kube/test_network_policies.py::test_connections_are_as_the_table_says_when_a_policy_is_"
        "in_force[by namespace and label together]"
    ),
)


def test_the_tests_run_elsewhere_when_only_kubeconfig_is_known(
    kube: Cluster, tmp_path: Path
) -> None:
    if kube.node is None:
        pytest.skip("KUBECONFIG names another cluster already")
    # ours, so to speak in a far place: nothing but the file and a command to load images is known
    named = tmp_path / "kubeconfig"
    shutil.copy(kube.kubeconfig, named)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", *CHOSEN],
        cwd=ROOT,
        env={
            **os.environ,
            "KUBECONFIG": str(named),
            "AF_KUBE_LOAD": shlex.join(
                ["env", f"PYTHONPATH={ROOT / 'tests'}", *command_line("load")]
            ),
            "AF_REQUIRE": "kube",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # the node's parts are out of reach
    assert "3 passed, 1 skipped" in done.stdout, done.stdout
    assert "this test works on the node itself" in done.stdout
