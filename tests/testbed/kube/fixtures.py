"""The cluster for pytest: one for all tests, a namespace for each."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from af_hub.errors import SetupError
from testbed.kube.cluster import Cluster, machine_problem
from testbed.kube.node import Node
from testbed.kube.settings import from_environment
from testbed.kube.tools import BASE, Tools
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kube.settings import Settings


def require_machine() -> None:
    """Skip the test where no cluster can be started, or its programs are not built."""
    problem = machine_problem()
    require("kube", problem is None, str(problem))
    missing = Tools(from_environment().bin).missing((*BASE, "kubectl"))
    require("kube", not missing, f"make kube-tools builds {' and '.join(missing)}, for minutes")


@contextmanager
def borrowed_cluster(settings: Settings) -> Iterator[Cluster]:
    """Give the cluster of this machine, which is brought up if it is not.

    Whoever is the last of the test runs that use it takes it down, unless somebody has asked for it
    by ``make kube-up``.
    """
    node = Node(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(settings.users, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        node.up(borrowed=True)
        try:
            yield Cluster.ours(settings)
        finally:
            _give_back(node, descriptor)
    finally:
        os.close(descriptor)


def _give_back(node: Node, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # others use it still
    if node.settings.borrowed.exists():
        node.down()


@pytest.fixture(scope="session")
def kube() -> Iterator[Cluster]:
    """Give the cluster that ``KUBECONFIG`` names, else the one of this machine."""
    if (named := os.environ.get("KUBECONFIG")) and Path(named) != from_environment().kubeconfig:
        yield Cluster.elsewhere(Path(named))
        return
    require_machine()
    try:
        with borrowed_cluster(from_environment()) as cluster:
            yield cluster
    except SetupError as error:
        pytest.fail(f"{error}\n{error.detail}")


@pytest.fixture
def kube_namespace(kube: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give a fresh namespace, removed afterwards with all that is in it."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-")
    name = f"{stem}-{secrets.token_hex(3)}"
    kube.add_namespace(name)
    try:
        yield name
    finally:
        kube.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
