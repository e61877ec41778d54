"""Thousands of forged requests to a hub over the real API server: no pod outside policy.

What is granted is written as a pod, and the API server judges it (admission, "restricted" and all); the
pods stay where no scheduler looks, since a thousand Labs are not the question here.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from testbed import option_fuzz as fuzz
from testbed.fuzzed_hub import GRANTED, PROFILES_AND_LIMITS, USERS, WAYS, Fuzzed, as_plan
from testbed.kube_facility import RESTRICTED
from testbed.kube_hub import KubeHub, running_kube_hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from testbed.kube.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNT = int(os.environ.get("AF_HUB_OPTION_SETS", "1000"))
NAMESPACE = "policy-fuzz"

CONFIG = f"""
import json
from af_hub.errors import Refusal
from af_hub.spawner.refusals import start_refused

{PROFILES_AND_LIMITS}
c.KubeSpawner.profiles = profiles
c.KubeSpawner.limits = limits

class Ended(Spawner):
    async def _make_create_pod_request(self, pod, request_timeout):
        '''Make the pod, write down what became of it, and end the start.'''
        made = await self.api.create_namespaced_pod(self.namespace, pod)
        with open("pods.jsonl", "a") as file:
            file.write(json.dumps([self.user.name, self.api.api_client.sanitize_for_serialization(made)]) + "\\n")
        await self.api.delete_namespaced_pod(self.pod_name, self.namespace, grace_period_seconds=0)
        raise Refusal({GRANTED!r}, "Granted, and ended.", status=400)

def keep(spawner, plan):
    kept = {{name: getattr(plan, name) for name in plan.__dataclass_fields__}}
    kept["volumes"] = [volume.model_dump() for volume in plan.volumes]
    kept["tolerations"] = [each.model_dump() for each in plan.tolerations]
    with open("plans.jsonl", "a") as file:
        file.write(json.dumps([spawner.user.name, kept]) + "\\n")

c.JupyterHub.spawner_class = Ended
c.Spawner.plan_hook = keep
c.KubeSpawner.extra_pod_config = {{"schedulerName": "nobody"}}
c.KubeSpawner.storage_pvc_ensure = False
c.KubeSpawner.count_gpus = False
"""


@pytest.fixture(scope="module")
def restricted(kube: Cluster) -> Iterator[str]:
    """Give a namespace that admits nothing but what the standard "restricted" allows."""
    name = NAMESPACE
    kube.add_namespace(name, RESTRICTED)
    try:
        yield name
    finally:
        kube.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hub(kube: Cluster, restricted: str, tmp_path_factory: Any) -> AsyncIterator[KubeHub]:
    """Give a hub with a user for each set of groups."""
    members = {
        group: {"users": [user for user, groups in USERS.items() if group in groups]}
        for group in fuzz.GROUPS
    }
    more = f"{CONFIG}\nc.JupyterHub.load_groups = {members!r}\n"
    folder = tmp_path_factory.mktemp("policy-fuzz")
    async with running_kube_hub(kube, restricted, folder, more) as running:
        await running.api("POST", "/users", {"usernames": list(USERS)})
        yield running


def pods(hub: KubeHub) -> list[tuple[str, dict[str, Any]]]:
    """Read which pods the API server has admitted."""
    file = hub.root / "pods.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(user, pod) for user, pod in map(json.loads, lines)]


@pytest.mark.parametrize("way", WAYS)
async def test_no_pod_is_outside_policy_when_a_thousand_requests_come(
    hub: KubeHub, way: str
) -> None:
    fuzzed = Fuzzed(hub, USERS)
    log, plans_before, pods_before = len(hub.log), len(fuzzed.granted()), len(pods(hub))
    await fuzzed.send(way, COUNT, seed=19)
    plans, made = fuzzed.granted()[plans_before:], pods(hub)[pods_before:]
    assert made
    # a plan became a pod, whatever its profile, or nothing: none was refused by the API server
    assert len(made) == len(plans), fuzzed.reasons
    assert 0 <= len(plans) - fuzzed.reasons[GRANTED] <= fuzzed.late
    by_user: dict[str, list[dict[str, Any]]] = {}
    for user, kept in plans:
        assert fuzz.breach(USERS[user], as_plan(kept)) is None, (user, kept)
        by_user.setdefault(user, []).append(kept)
    for user, pod in made:
        # each user asks one thing at a time, so plans and pods come in one order
        assert pod_breach(by_user[user].pop(0), pod) is None, (user, pod)
    assert hub.process.runs
    assert not [status for status in fuzzed.statuses if status >= 500 or status < 400]
    assert set(fuzzed.nameless) <= {400, 422}, fuzzed.nameless
    said = hub.log[log:]
    assert "Traceback" not in said
    assert "consecutive spawn" not in said


async def test_every_refusal_is_a_failure_with_a_reason(hub: KubeHub) -> None:
    counted = await hub.refusals()
    assert "error" not in counted
    assert "" not in counted
    assert "success" not in counted


def pod_breach(plan: dict[str, Any], pod: dict[str, Any]) -> str | None:
    """Say what a pod has that its plan does not; None if all is right."""
    spec = pod["spec"]
    (lab,) = spec["containers"]
    limits = dict(lab["resources"]["limits"])
    wanted = {"cpu": str(plan["cpu"])}
    if plan["gpu"]:
        wanted[plan["gpu_resource"]] = str(plan["gpu"])
    variables = {each["name"]: each.get("value", "") for each in lab["env"]}
    claims = [
        each["persistentVolumeClaim"]["claimName"]
        for each in spec["volumes"]
        if "persistentVolumeClaim" in each
    ]
    allowed = [each["claim"] or "cvmfs" for each in plan["volumes"]]
    memory = _bytes(limits.pop("memory"))
    right = (
        limits == wanted
        and memory == plan["ram"]
        and (plan["image"] is None or lab["image"] == plan["image"])
        and claims == allowed
        and spec.get("nodeSelector", {}).get("disk") == dict(plan["node_selector"]).get("disk")
        and spec["automountServiceAccountToken"] is False
        and ("NVIDIA_VISIBLE_DEVICES" in variables) == (plan["gpu"] == 0)
        and variables.get("RELEASE") == dict(plan["environment"]).get("RELEASE")
        and "hostPath" not in json.dumps(spec["volumes"])
    )
    return None if right else f"{plan} became {spec}"


def _bytes(quantity: str) -> int:
    """Read an amount of memory as the API server writes it."""
    for suffix, factor in (("Ki", 2**10), ("Mi", 2**20), ("Gi", 2**30)):
        if quantity.endswith(suffix):
            return int(quantity.removesuffix(suffix)) * factor
    return int(quantity)
