"""The pod that the cluster spawner asks for, made without a cluster."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.user import User
from kubernetes_asyncio.client import ApiClient

from af_hub.facility.profiles import Profile
from af_hub.spawner.catalogue import visible
from af_hub.spawner.kube import KubeSpawner
from af_hub.spawner.options import read_options
from af_hub.spawner.plan import Plan
from af_hub.spawner.pod import claim_name, literal
from af_hub.spawner.policy import decide
from af_hub.spawner.site import Site, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PLAN = Plan(
    profile="small",
    title="Small",
    cpu=2,
    ram=2**30,
    gpu=0,
    gpu_product=None,
    environment=(("TEXT", "{unescaped_username.__class__} {nokey} $(HOME) 5$"),),
    max_lifetime=None,
)


@asynccontextmanager
async def spawner(
    monkeypatch: pytest.MonkeyPatch, name: str = "alice", server: str = "", **traits: Any
) -> AsyncIterator[KubeSpawner]:
    """Make a spawner that talks to no cluster."""
    monkeypatch.setattr("kubespawner.spawner.load_config", lambda **_: None)
    monkeypatch.setattr("kubespawner.spawner.shared_client", lambda _: None)
    db = orm.new_session_factory("sqlite:///:memory:")()
    user = orm.User(name=name)
    row = orm.Spawner(name=server, user=user)
    db.add_all([user, row])
    db.commit()
    traits = {"namespace": "labs", "image": "af/lab:1", "storage_pvc_ensure": True, **traits}
    made = KubeSpawner(
        user=User(user, {"base_url": "/"}), hub=Hub(ip="hub"), orm_spawner=row, db=db, **traits
    )
    yield made
    db.close()
    db.get_bind().dispose()


async def manifest(
    monkeypatch: pytest.MonkeyPatch,
    plan: Plan = PLAN,
    groups: frozenset[str] = frozenset({"/cms"}),
    **traits: Any,
) -> dict[str, Any]:
    """Make the manifest of a pod, as it goes over the wire."""
    async with spawner(monkeypatch, **traits) as made, ApiClient() as client:
        made.record = made._apply(plan, groups)
        found: dict[str, Any] = client.sanitize_for_serialization(await made.get_pod_manifest())
        return found


def variables(pod: dict[str, Any]) -> dict[str, str]:
    """Read the Lab's variables."""
    (lab,) = pod["spec"]["containers"]
    return {each["name"]: each.get("value", "") for each in lab["env"]}


async def test_pod_is_restricted_and_has_no_way_into_the_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pod = await manifest(monkeypatch)
    (lab,) = pod["spec"]["containers"]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod["spec"]
    assert pod["spec"]["enableServiceLinks"] is False
    assert pod["spec"]["securityContext"] == {"fsGroup": 100}
    assert lab["securityContext"] == {
        "runAsUser": 1000,
        "runAsGroup": 100,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


async def test_written_text_stays_as_it_is_when_it_looks_like_a_template(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = variables(await manifest(monkeypatch, groups=frozenset({"/cms/{x}$(HOME)"})))
    # Kubernetes makes $ of $$ and nothing else
    assert told["TEXT"].replace("$$", "$") == dict(PLAN.environment)["TEXT"]
    assert told["AF_GROUPS"].replace("$$", "$") == "/cms/{x}$(HOME)"


@given(st.text())
def test_kubernetes_gives_back_what_was_marked_as_literal(text: str) -> None:
    assert _expanded(literal(text)) == text


def _expanded(text: str) -> str:
    """Do as Kubernetes does (third_party/forked/golang/expansion), where every name is known."""
    out, rest = "", text
    while rest:
        if rest.startswith("$$"):
            out, rest = out + "$", rest[2:]
        elif rest.startswith("$(") and ")" in rest:
            out, rest = out + "EXPANDED", rest.partition(")")[2]
        else:
            out, rest = out + rest[0], rest[1:]
    return out


async def test_plan_decides_when_the_pod_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    pod = await manifest(monkeypatch, replace(PLAN, image="af/gpu@sha256:" + "0" * 64))
    (lab,) = pod["spec"]["containers"]
    assert lab["image"].startswith("af/gpu@")
    assert lab["resources"] == {
        "limits": {"cpu": 2.0, "memory": 2**30},
        "requests": {"cpu": 0.5, "memory": 2**30},
    }


async def test_next_start_begins_afresh_when_an_earlier_one_had_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rich = replace(PLAN, gpu=1, gpu_product="NVIDIA A100", image="af/gpu:1")
    async with spawner(monkeypatch) as made:
        made._apply(rich, frozenset())
        first = await made.get_pod_manifest()
        made._apply(PLAN, frozenset())
        second = await made.get_pod_manifest()
    assert first.spec.node_selector == {"nvidia.com/gpu.product": "NVIDIA-A100"}
    assert not second.spec.node_selector
    (lab,) = second.spec.containers
    assert lab.image == "af/lab:1"
    assert set(lab.resources.limits) == {"cpu", "memory"}
    assert len(second.spec.volumes) == len(first.spec.volumes) == 2


@pytest.mark.parametrize("resource", ["nvidia.com/gpu", "nvidia.com/mig-1g.5gb"])
async def test_devices_are_hidden_unless_asked_for(
    monkeypatch: pytest.MonkeyPatch, resource: str
) -> None:
    without = await manifest(monkeypatch)
    assert variables(without)["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert variables(without)["CUDA_VISIBLE_DEVICES"] == ""
    with_two = await manifest(monkeypatch, replace(PLAN, gpu=2, gpu_resource=resource))
    (lab,) = with_two["spec"]["containers"]
    assert lab["resources"]["limits"][resource] == "2"
    # the device plug-in says which
    assert not {"NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"} & set(variables(with_two))


async def test_tokens_lie_in_memory_and_files_on_the_users_volume(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pod = await manifest(monkeypatch, ca_config_map="authorities")
    (lab,) = pod["spec"]["containers"]
    mounts = {each["mountPath"]: each["name"] for each in lab["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    told = variables(pod)
    assert told["HOME"] == "/home/jovyan"
    assert volumes[mounts["/home/jovyan"]]["persistentVolumeClaim"] == {"claimName": "home-alice"}
    memory = next(path for path in mounts if told["BEARER_TOKEN_FILE"].startswith(f"{path}/"))
    assert volumes[mounts[memory]]["emptyDir"]["medium"] == "Memory"
    # the volume's root is open to the pod's group: the Lab makes the folder, with 0700
    assert told["BEARER_TOKEN_FILE"] == f"{memory}/lab/bt_u1000"
    for name in ("AF_TOKEN_DIR", "OIDC_SOCK", "RUCIO_CONFIG", "XDG_RUNTIME_DIR"):
        assert told[name].startswith(f"{memory}/lab")
    assert volumes[mounts["/etc/analysis-facility/ca"]]["configMap"] == {"name": "authorities"}
    bare = await manifest(monkeypatch, storage_pvc_ensure=False)
    assert [each["name"] for each in bare["spec"]["volumes"]] == ["af-runtime"]


def test_home_follows_the_person_when_the_name_comes_back_to_somebody_else() -> None:
    first = claim_name("alice", "alice", {"iss": "https://iam/", "sub": "1"})
    again = claim_name("alice", "alice", {"iss": "https://iam", "sub": "1"})
    other = claim_name("alice", "alice", {"iss": "https://iam/", "sub": "2"})
    assert first == again != other
    assert claim_name("alice", "alice---1234", None) == "home-alice---1234"


async def test_names_of_pods_and_volumes_never_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a-b", "a.b", "a@b", "a-2db", "A-b", "a--b", "a", "x\u02db", "x-b", "jovyan" * 12]
    names += ["jovyan" * 12 + "x", "a-" * 30, "a-" * 30 + "-"]
    pods, claims = set(), set()
    for name in names:
        for server in ("", "b"):
            async with spawner(monkeypatch, name, server) as made:
                pods.add(made.pod_name)
                claims.add(made.pvc_name)
                assert len(made.pod_name) <= 63
    assert len(pods) == 2 * len(names)
    assert len(claims) == len(names)


def test_gpus_are_granted_when_nobody_has_counted_them() -> None:
    profile = Profile.model_validate({"name": "gpu", "title": "GPU", "gpu": {"counts": [0, 4]}})
    options = read_options({"profile": "gpu", "gpu": 4})
    assert decide(visible([profile], {"/cms"}), Usage(), Site(gpus=None), options).gpu == 4
