"""The hub's rights in the cluster: every verb is needed, and there is no other."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from testbed.kube_facility import MANIFESTS, RESTRICTED
from testbed.kube_volumes import volumes

if TYPE_CHECKING:
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


def story(kube: Cluster, rules: list[Any], folder: Path) -> Any:
    """Go through the story with these rights; return the step that broke."""
    name = f"rights-{secrets.token_hex(3)}"
    labelled = {"name": name, "labels": RESTRICTED}
    with volumes(kube, name, 1) as storage_class:
        kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": labelled})
        try:
            return told(kube, name, storage_class, rules, folder)
        finally:
            kube.kubectl("delete", "namespace", name, "--wait=false")


def told(kube: Cluster, namespace: str, storage_class: str, rules: list[Any], folder: Path) -> Any:
    """Tell the story in a namespace."""
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
    own = folder / f"{namespace}.yaml"
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


@pytest.fixture(scope="module")
def broken(
    kube: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Future[Any]]:
    """Give what breaks without each verb; ``("", "")`` stands for the whole role.

    Three stories at a time: most of each is waiting.
    """
    folder = tmp_path_factory.mktemp("rights")
    with ThreadPoolExecutor(3) as pool:
        return {
            each: pool.submit(story, kube, without(*each), folder) for each in [("", ""), *BREAKS]
        }


def without(resource: str, verb: str) -> list[Any]:
    """Take a verb out of the role."""
    return [
        {**rule, "verbs": [each for each in rule["verbs"] if each != verb]}
        if rule["resources"] == [resource]
        else rule
        for rule in ROLE["rules"]
    ]


def test_everything_works_with_the_rights_of_the_role(
    broken: dict[tuple[str, str], Future[Any]],
) -> None:
    assert broken["", ""].result() is None


@pytest.mark.parametrize(("resource", "verb"), BREAKS, ids=[" ".join(each) for each in BREAKS])
def test_something_breaks_when_a_verb_is_taken_away(
    broken: dict[tuple[str, str], Future[Any]], resource: str, verb: str
) -> None:
    assert without(resource, verb) != ROLE["rules"]
    assert broken[resource, verb].result() == BREAKS[resource, verb]


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
