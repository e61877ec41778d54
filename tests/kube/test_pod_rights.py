"""The hub's rights in the cluster: every verb is needed, and there is no other."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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
    ("persistentvolumeclaims", "get"): "start",
    ("events", "list"): "start",
    ("events", "watch"): "see-what-happens",
}
"""What does not work without a verb: a step of `testbed.spawn_story`."""


def prepare(kube: Cluster, name: str, rules: list[Any], folder: Path) -> list[str]:
    """Make a restricted namespace with an account that has these rights; return its place."""
    kube.add_namespace(name, RESTRICTED)
    texts = list(yaml.safe_load_all((MANIFESTS / "hub-role.yaml").read_text()))
    for each in texts:
        each["metadata"]["namespace"] = name
        if each["kind"] == "Role":
            each["rules"] = rules
        if each["kind"] == "RoleBinding":
            each["subjects"][0]["namespace"] = name
    kube.apply(*texts)
    token = kube.kubectl("create", "token", "hub", "--namespace", name).strip()
    config = yaml.safe_load(kube.kubeconfig.read_text())
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": token}}]
    own = folder / f"{name}.yaml"
    own.write_text(yaml.safe_dump(config))
    return [name, str(own)]


@pytest.fixture(scope="module")
def broken(
    kube: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str], Any]]:
    """Give what breaks without each verb; ``("", "")`` stands for the whole role."""
    folder, mark = tmp_path_factory.mktemp("rights"), secrets.token_hex(3)
    tried = {f"rights-{mark}-{n}": each for n, each in enumerate([("", ""), *BREAKS])}
    with volumes(kube, f"rights-{mark}", len(tried)) as storage_class:
        try:
            places = [
                (name, storage_class, config)
                for name, config in (
                    prepare(kube, name, without(*each), folder) for name, each in tried.items()
                )
            ]
            # three at a time: most of a story is waiting
            with ThreadPoolExecutor(3) as pool:
                parts = [pool.submit(tell, kube, places[part::3]) for part in range(3)]
                found = [part.result() for part in parts]
            yield {tried[name]: step for each in found for name, step in each.items()}
        finally:
            kube.kubectl("delete", "namespace", "--wait=false", "--ignore-not-found", *tried)


def tell(kube: Cluster, places: list[tuple[str, str, str]]) -> dict[str, Any]:
    """Tell the story in these places; return the steps that broke."""
    options = {"image": kube.image("probe"), "kubectl": kube.program, "admin": kube.kubeconfig}
    command = [sys.executable, "-W", "ignore", "-m", "testbed.spawn_story"]
    command += [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    command += [word for place in places for word in ("--place", *place)]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    print(done.stdout, done.stderr[-20_000:])
    assert done.returncode == 0
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {each["namespace"]: each["broken"] for each in answers}


def without(resource: str, verb: str) -> list[Any]:
    """Take a verb out of the role."""
    return [
        {**rule, "verbs": [each for each in rule["verbs"] if each != verb]}
        if rule["resources"] == [resource]
        else rule
        for rule in ROLE["rules"]
    ]


def test_everything_works_with_the_rights_of_the_role(
    broken: dict[tuple[str, str], Any],
) -> None:
    assert broken["", ""] is None


@pytest.mark.parametrize(("resource", "verb"), BREAKS, ids=[" ".join(each) for each in BREAKS])
def test_something_breaks_when_a_verb_is_taken_away(
    broken: dict[tuple[str, str], Any], resource: str, verb: str
) -> None:
    assert without(resource, verb) != ROLE["rules"]
    assert broken[resource, verb] == BREAKS[resource, verb]


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
