"""The hub's rights in the cluster: every verb is needed, and there is no other."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from testbed.kube_facility import MANIFESTS, RESTRICTED
from testbed.kube_volumes import volumes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kube.cluster import Cluster
    from testbed.kube_facility import PodFacility

ROLE = next(
    each
    for each in yaml.safe_load_all((MANIFESTS / "hub-role.yaml").read_text())
    if each["kind"] == "Role"
)
BREAKS = {
    ("pods", "list"): "start",
    ("pods", "watch"): "watch-quietly",
    ("pods", "create"): "start",
    ("pods", "delete"): "stop",
    ("persistentvolumeclaims", "create"): "start",
    ("persistentvolumeclaims", "get"): "start-with-a-full-quota",
    ("events", "list"): "start",
    ("events", "watch"): "watch-quietly",
}
"""What does not work without a verb: a step of `testbed.spawn_story`."""


@pytest.fixture
def place(kube: Cluster) -> Iterator[tuple[str, str]]:
    """Give a restricted namespace with one volume, and the volume's class."""
    name = f"rights-{secrets.token_hex(3)}"
    with volumes(kube, name, 1) as storage_class:
        kube.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": RESTRICTED},
            }
        )
        yield name, storage_class
        kube.kubectl("delete", "namespace", name, "--wait=false")


def story(kube: Cluster, place: tuple[str, str], rules: list[Any], folder: Path) -> Any:
    """Go through the story with these rights; return the step that broke."""
    namespace, storage_class = place
    texts = list(yaml.safe_load_all((MANIFESTS / "hub-role.yaml").read_text()))
    for each in texts:
        each["metadata"]["namespace"] = namespace
        if each["kind"] == "Role":
            each["rules"] = rules
        if each["kind"] == "RoleBinding":
            each["subjects"][0]["namespace"] = namespace
    kube.apply(*texts)
    token = kube.kubectl("create", "token", "hub", "--namespace", namespace).strip()
    config = yaml.safe_load(kube.kubeconfig.read_text())
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": token}}]
    own = folder / "kubeconfig"
    own.write_text(yaml.safe_dump(config))
    options = {
        "namespace": namespace,
        "image": kube.image("probe"),
        "storage-class": storage_class,
        "user": "alice",
        "kubectl": kube.program,
        "admin": str(kube.kubeconfig),
    }
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "testbed.spawn_story"),
            *(word for name, value in options.items() for word in (f"--{name}", value)),
        ],
        env={
            **os.environ,
            "KUBECONFIG": str(own),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    print(done.stdout, done.stderr[-6000:])
    assert done.returncode == 0
    return json.loads(done.stdout.splitlines()[-1])["broken"]


def test_everything_works_with_the_rights_of_the_role(
    kube: Cluster, place: tuple[str, str], tmp_path: Path
) -> None:
    assert story(kube, place, ROLE["rules"], tmp_path) is None


@pytest.mark.parametrize(("resource", "verb"), BREAKS, ids=[" ".join(each) for each in BREAKS])
def test_something_breaks_when_a_verb_is_taken_away(
    kube: Cluster, place: tuple[str, str], tmp_path: Path, resource: str, verb: str
) -> None:
    rules = [
        {**rule, "verbs": [each for each in rule["verbs"] if each != verb]}
        if rule["resources"] == [resource]
        else rule
        for rule in ROLE["rules"]
    ]
    assert rules != ROLE["rules"]
    assert story(kube, place, rules, tmp_path) == BREAKS[resource, verb]


def test_role_holds_no_verb_beside_those_that_were_tried() -> None:
    held = {
        (resource, verb)
        for rule in ROLE["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert held == set(BREAKS)
    assert all(rule["apiGroups"] == [""] for rule in ROLE["rules"])


def test_hub_may_do_nothing_else_in_the_cluster(pod_facility: PodFacility) -> None:
    """As the cluster sees the hub that runs, whatever else is bound to its account."""
    account = f"--as=system:serviceaccount:{pod_facility.namespace}:hub"
    table = pod_facility.kubectl("auth", "can-i", "--list", account, "--no-headers")
    allowed = {
        line.split()[0]: set(line[line.rindex("[") + 1 : line.rindex("]")].split())
        for line in table.splitlines()
        if line[0] not in " [" and "selfsubject" not in line.split()[0]
    }
    assert allowed == {
        resource: {verb for held, verb in BREAKS if held == resource}
        for resource in {resource for resource, _verb in BREAKS}
    }
    elsewhere = pod_facility.kube.kubectl(
        *("auth", "can-i", "--list", "--namespace=kube-system", account, "--no-headers")
    )
    assert "pods" not in elsewhere
