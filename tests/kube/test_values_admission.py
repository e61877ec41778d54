"""What the API server itself says of our values: pod security, dry runs, rights."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from testbed.helm import VALUES, program, run, template
from testbed.kube.cluster import KubectlError
from testbed.pod_faults import FAULTS, GOOD, changed
from testbed.pod_security import violations
from testbed.values import made

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.kube.cluster import Cluster

ACCOUNT = "system:serviceaccount:{}:hub"


def answer(kube: Cluster, namespace: str, spec: dict[str, Any]) -> str:
    """Ask the API server to take a pod, without keeping it: "taken", "violates" or "invalid"."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asked"}, "spec": spec}
    try:
        kube.kubectl(
            *("create", "--namespace", namespace, "--dry-run=server", "--filename", "-"),
            input=json.dumps(pod),
        )
    except KubectlError as error:
        words = {"violates PodSecurity": "violates", 'The Pod "asked" is invalid': "invalid"}
        said = [short for long, short in words.items() if long in str(error)]
        if not said:
            raise
        return said[0]
    return "taken"


@pytest.fixture
def restricted(kube: Cluster, kube_namespace: str) -> str:
    """Give a namespace that enforces "restricted"."""
    label = "pod-security.kubernetes.io/enforce=restricted"
    kube.kubectl("label", "namespace", kube_namespace, label)
    return kube_namespace


def test_checker_and_api_server_agree_when_one_thing_is_wrong(
    kube: Cluster, restricted: str
) -> None:
    assert answer(kube, restricted, GOOD) == "taken"
    said = {name: answer(kube, restricted, changed(*change)) for name, change in FAULTS.items()}
    # the API has two of them never together with what else the pod says
    assert {name for name, one in said.items() if one == "invalid"} <= {"privileged", "procMount"}
    differing = [
        name
        for name, one in said.items()
        if one != "invalid" and (one == "taken") == bool(violations(changed(*FAULTS[name])))
    ]
    assert not differing


def test_hub_may_start_labs_and_nothing_else_when_it_has_our_rights(
    kube: Cluster, kube_namespace: str, tmp_path: Path
) -> None:
    rights = template(VALUES / "charts/hub-rights", tmp_path, namespace=kube_namespace)
    kube.kubectl("create", "serviceaccount", "hub", "--namespace", kube_namespace)
    kube.kubectl(
        *("apply", "--namespace", kube_namespace, "--filename", "-"),
        input=yaml.safe_dump_all(rights),
    )
    listed = kube.kubectl(
        *("auth", "can-i", "--list", "--no-headers", "--namespace", kube_namespace),
        *("--as", ACCOUNT.format(kube_namespace)),
    )
    found = {line.split()[0]: line[line.rindex("[") :] for line in listed.splitlines()}
    rules = yaml.safe_load((VALUES / "charts/hub-rights/files/hub.yaml").read_text())
    ours = {rule["resources"][0]: f"[{' '.join(rule['verbs'])}]" for rule in rules}
    everybodys = {"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"}
    named = {name: verbs for name, verbs in found.items() if not name.startswith("[")}
    assert {
        name: verbs for name, verbs in named.items() if name.partition(".")[0] not in everybodys
    } == ours


def test_authorities_are_taken_when_they_are_applied(kube: Cluster, kube_namespace: str) -> None:
    text = made()["authorities.yaml"]
    kube.kubectl("apply", "--namespace", kube_namespace, "--filename", "-", input=text)
    found = kube.get("configmap", "authorities", "--namespace", kube_namespace)
    assert set(found["data"]) == {"ca-bundle.pem", "5ab23cd9.0"}


def test_cluster_takes_the_chart_when_it_is_a_dry_run(
    kube: Cluster, restricted: str, tmp_path: Path
) -> None:
    chart = os.environ.get("Z2JH_CHART", "")
    if not chart:
        pytest.skip("Z2JH_CHART names no folder with the Zero-to-JupyterHub chart: by hand only")
    (tmp_path / "facility.values.yaml").write_text(made()["facility.values.yaml"])
    said = run(
        *(program("helm"), "install", "facility", chart, "--namespace", restricted),
        *("--kubeconfig", kube.kubeconfig, "--dry-run=server"),
        *("--values", VALUES / "jupyterhub/values.yaml"),
        *("--values", tmp_path / "facility.values.yaml"),
        *("--values", VALUES / "jupyterhub/small.yaml"),
        *("--values", VALUES / "jupyterhub/site.example.yaml"),
        cwd=tmp_path,
    )
    assert "STATUS: pending-install" in said
    assert "violate" not in said
