"""The pod that the cluster spawner asks for, made without a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_hub.facility.placement import Toleration
from af_hub.facility.profiles import Profile
from af_hub.facility.volumes import Volume
from af_hub.spawner.kube.pod import claim_name, literal
from af_hub.spawner.policy.catalogue import visible
from af_hub.spawner.policy.decision import decide
from af_hub.spawner.policy.options import read_options
from af_hub.spawner.policy.site import Site, Usage
from testbed import kube_spawner
from testbed.kube_spawner import spawner
from testbed.plans import SMALL

if TYPE_CHECKING:
    from af_hub.spawner.policy.plan import Plan

PLAN = replace(
    SMALL,
    cpu=2,
    environment=(("TEXT", "{unescaped_username.__class__} {nokey} $(HOME) 5$"),),
)


async def manifest(
    monkeypatch: pytest.MonkeyPatch,
    plan: Plan = PLAN,
    groups: frozenset[str] = frozenset({"/cms"}),
    **traits: Any,
) -> dict[str, Any]:
    """Make the manifest of a pod, as it goes over the wire."""
    return await kube_spawner.manifest(monkeypatch, plan, groups, **traits)


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


def volume(**said: Any) -> Volume:
    return Volume.model_validate(said)


PLACED = replace(
    PLAN,
    volumes=(
        volume(kind="cvmfs"),
        volume(kind="shared", claim="cms", path="/data/cms", sub_path="users", read_only=True),
        volume(kind="s3", claim="bucket", path="/data/bucket"),
        volume(kind="scratch", size="1G"),
        volume(kind="scratch", path="/fast", size="1G", in_memory=True),
        volume(kind="scratch", path="/big", size="9G", storage_class="disks"),
    ),
    node_selector=(("site", "remote"),),
    tolerations=(
        Toleration(key="virtual-node.interlink/no-schedule", operator="Exists"),
        Toleration(key="reserved", value="cms", effect="NoSchedule"),
    ),
    annotations=(("slurm-job.vk.io/flags", "--qos={user.name} $(HOME) 5$"),),
    hub_url="https://hub.example.org",
)


async def test_volumes_are_mounted_when_the_plan_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pod = await manifest(monkeypatch, PLACED)
    (lab,) = pod["spec"]["containers"]
    named = {each.pop("name"): each for each in pod["spec"]["volumes"]}
    mounts = {each.pop("mountPath"): each for each in lab["volumeMounts"]}
    assert len(named) == 8
    for mount in mounts.values():
        assert mount.pop("name") in named
    assert mounts["/cvmfs"] == {"readOnly": True, "mountPropagation": "HostToContainer"}
    assert mounts["/data/cms"] == {"readOnly": True, "subPath": "users"}
    assert mounts["/data/bucket"] == {"readOnly": False}
    assert named["af-volume-0"] == {"persistentVolumeClaim": {"claimName": "cvmfs"}}
    assert named["af-volume-1"] == {"persistentVolumeClaim": {"claimName": "cms"}}
    assert named["af-volume-3"] == {"emptyDir": {"sizeLimit": str(2**30)}}
    assert named["af-volume-4"] == {"emptyDir": {"sizeLimit": str(2**30), "medium": "Memory"}}
    spec = named["af-volume-5"]["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert spec["storageClassName"] == "disks"
    assert spec["resources"] == {"requests": {"storage": str(9 * 2**30)}}


async def test_pod_goes_to_the_plans_nodes_and_finds_the_hub_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pod = await manifest(
        monkeypatch,
        PLACED,
        node_selector={"pool": "labs"},
        hub_connect_url="http://hub:8081",
        extra_annotations={"slurm-job.vk.io/flags": "mine", "of": "{username}"},
    )
    assert pod["spec"]["nodeSelector"] == {"pool": "labs", "site": "remote"}
    assert pod["spec"]["tolerations"][-2:] == [
        {"key": "virtual-node.interlink/no-schedule", "operator": "Exists"},
        {"key": "reserved", "operator": "Equal", "value": "cms", "effect": "NoSchedule"},
    ]
    told = variables(pod)
    assert told["JUPYTERHUB_API_URL"].startswith("https://hub.example.org/")
    assert told["JUPYTERHUB_ACTIVITY_URL"].startswith("https://hub.example.org/")
    assert told["AF_HUB_API"].startswith("https://hub.example.org/")
    # the administrator's settings of KubeSpawner come after the profile's
    assert pod["metadata"]["annotations"]["slurm-job.vk.io/flags"] == "mine"
    bare = await manifest(monkeypatch, PLACED)
    assert (
        bare["metadata"]["annotations"]["slurm-job.vk.io/flags"]
        == dict(PLACED.annotations)["slurm-job.vk.io/flags"]
    )
    plain = await manifest(monkeypatch, hub_connect_url="http://hub:8081")
    assert variables(plain)["JUPYTERHUB_API_URL"].startswith("http://hub:8081/")
    assert "nodeSelector" not in plain["spec"]
    assert "tolerations" not in plain["spec"]


async def test_nothing_of_a_start_is_left_when_the_next_one_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with spawner(monkeypatch, hub_connect_url="http://hub:8081") as made:
        fresh = {name: made.trait_values()[name] for name in ("image", "hub_connect_url")}
        before = await kube_spawner.written(made)
        made.record = made._apply(replace(PLACED, image="af/x:1", home=False), frozenset())
        assert not made.storage_pvc_ensure
        made.record = made._apply(PLAN, frozenset())
        assert {name: made.trait_values()[name] for name in fresh} == fresh
        after = await kube_spawner.written(made)
    assert after["spec"]["volumes"] == before["spec"]["volumes"]
    assert "nodeSelector" not in after["spec"]


async def test_start_may_take_as_long_as_its_profile_says(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = {"name": "slow", "title": "Slow", "start_timeout": "30m"}
    profiles = [{"name": "quick", "title": "Quick"}, slow]
    async with spawner(monkeypatch, profiles=profiles, start_timeout=77) as made:
        seen = []
        for raw in (
            {},
            {"profile": "slow"},
            {"profile": "gone"},
            {"profile": 7},
            {"profile": "slow"},
        ):
            made.user_options = raw
            await made.run_pre_spawn_hook()
            seen.append(made.start_timeout)
    assert seen == [77, 1800, 77, 77, 1800]


async def test_home_is_mounted_once_when_the_chart_mounts_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = {"name": "volume-{username}", "persistentVolumeClaim": {"claimName": "claim-{username}"}}
    mount = {"name": "volume-{username}", "mountPath": "/home/jovyan"}
    pod = await manifest(monkeypatch, volumes=[own], volume_mounts=[mount])
    (lab,) = pod["spec"]["containers"]
    places = [each["mountPath"] for each in lab["volumeMounts"]]
    assert places.count("/home/jovyan") == 1
    without = await manifest(monkeypatch, replace(PLAN, home=False))
    assert [each["name"] for each in without["spec"]["volumes"]] == ["af-runtime"]


def test_home_follows_the_person_when_the_name_comes_back_to_somebody_else() -> None:
    first = claim_name("alice", "alice", {"iss": "https://iam/", "sub": "1"})
    again = claim_name("alice", "alice", {"iss": "https://iam", "sub": "1"})
    other = claim_name("alice", "alice", {"iss": "https://iam/", "sub": "2"})
    assert first == again != other
    # half a login is nobody's: all who have the same half would share a home
    for half in (None, {}, {"iss": "https://iam/"}, {"sub": "1"}, {"iss": "", "sub": "1"}):
        assert claim_name("alice", "alice---1234", half) == "home-alice---1234"


async def test_home_is_named_after_the_login_unless_it_has_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    login = {"iss": "https://iam/", "sub": "1"}
    async with spawner(monkeypatch) as made:
        made.name_home(login)
        assert made.pvc_name == claim_name("alice", "alice", login)
        # a home from before the name followed the login, found again by a restarted hub
        made._pvc_exists, made.pvc_name = True, "home-of-before"
        made.name_home(login)
        assert made.pvc_name == "home-of-before"
    async with spawner(monkeypatch, pvc_name_template="claim-{username}") as made:
        made.name_home(login)
        assert made.pvc_name == "claim-alice"


async def test_names_of_pods_and_volumes_never_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a-b", "a.b", "a@b", "a-2db", "A-b", "a--b", "a", "x\u02db", "x-b", "jovyan" * 12]
    names += ["jovyan" * 12 + "x", "a-" * 30, "a-" * 30 + "-"]
    pods, claims = set(), set()
    for name in names:
        for server in ("", "b"):
            async with spawner(monkeypatch, name, server) as made:
                made.name_home(None)
                pods.add(made.pod_name)
                claims.add(made.pvc_name)
                assert len(made.pod_name) <= 63
    assert len(pods) == 2 * len(names)
    assert len(claims) == len(names)
    # nor with the homes of people whose logins are known, whatever they call themselves
    people = [(f"https://iam{number}/", str(sub)) for number in range(3) for sub in range(30)]
    claims |= {claim_name("a", "a", {"iss": iss, "sub": sub}) for iss, sub in people}
    assert len(claims) == len(names) + len(people)


def test_gpus_are_granted_when_nobody_has_counted_them() -> None:
    profile = Profile.model_validate({"name": "gpu", "title": "GPU", "gpu": {"counts": [0, 4]}})
    options = read_options({"profile": "gpu", "gpu": 4})
    assert decide(visible([profile], {"/cms"}), Usage(), Site(gpus=None), options).gpu == 4
