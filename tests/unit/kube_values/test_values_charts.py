"""Our charts and the helmfile, by Helm's and helmfile's own words."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml

from af_hub.kube_values import XCACHE
from testbed.helm import KUBERNETES, VALUES, program, run, template
from testbed.pod_security import pods_in, violations
from testbed.values import OVERLAYS, made, values

if TYPE_CHECKING:
    from pathlib import Path

CHARTS = sorted(path.name for path in (VALUES / "charts").iterdir())
GPU = ("--set", "gpuCounts=true")


def built(folder: Path, *options: str, z2jh: str = "") -> dict[str, Any]:
    """Return what helmfile makes of our file: releases by name."""
    command: list[str | Path] = [
        program("helmfile"),
        "--helm-binary",
        program("helm"),
        *options,
        "build",
    ]
    text = run(*command, cwd=folder, environment={"Z2JH_CHART": z2jh})
    (read,) = [one for one in yaml.safe_load_all(text) if one]
    return {release["name"]: release for release in read["releases"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of ``helm-values`` with a site's two files."""
    target = tmp_path / "helm-values"
    shutil.copytree(VALUES, target)
    (target / "site").mkdir()
    for name in ("facility.values.yaml", "site.yaml"):
        (target / "site" / name).write_text("{}\n")
    return target


def given(name: str, folder: Path) -> tuple[str | Path, ...]:
    """Return the options that a chart cannot do without."""
    if name != "xcache":
        return ()
    (folder / XCACHE).write_text(made()[XCACHE])
    return ("--values", folder / XCACHE)


@pytest.mark.parametrize("name", CHARTS)
def test_chart_is_right_when_helm_looks_at_it(tmp_path: Path, name: str) -> None:
    chart = VALUES / "charts" / name
    run(program("helm"), "lint", "--strict", chart, *given(name, tmp_path), cwd=tmp_path)
    documents = template(VALUES / "charts" / name, tmp_path, *given(name, tmp_path))
    assert documents
    for document in documents:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
        for pod, spec in pods_in(document):
            assert not violations(spec), pod


def test_rights_are_the_namespaces_own_when_gpus_are_not_counted(tmp_path: Path) -> None:
    documents = template(VALUES / "charts/hub-rights", tmp_path)
    assert {one["kind"] for one in documents} == {"Role", "RoleBinding"}
    (binding,) = [one for one in documents if one["kind"] == "RoleBinding"]
    (subject,) = binding["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": "hub", "namespace": "facility"}


def test_cache_is_behind_its_service_when_labs_come(tmp_path: Path) -> None:
    documents = template(
        VALUES / "charts/xcache", tmp_path, *given("xcache", tmp_path), name="xcache"
    )
    kinds = {one["kind"]: one for one in documents}
    labels = kinds["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    (xcache,) = [
        one for one in values()["singleuser"]["networkPolicy"]["egress"] if labels in of(one)
    ]
    assert [port["port"] for port in xcache["ports"]] == [
        kinds["Service"]["spec"]["ports"][0]["port"]
    ]
    assert kinds["Service"]["spec"]["selector"] == labels
    assert kinds["ConfigMap"]["data"] == yaml.safe_load(made()[XCACHE])["files"]
    readers = kinds["NetworkPolicy"]["spec"]["ingress"][0]
    assert [port["port"] for port in readers["ports"]] == ["xrootd"]


def of(rule: dict[str, Any]) -> list[dict[str, str]]:
    """Return the labels of the pods beside the hub that a rule is about."""
    return [
        peer["podSelector"]["matchLabels"]
        for peer in rule["to"]
        if "podSelector" in peer and "namespaceSelector" not in peer
    ]


def test_caches_pod_is_confined_when_a_cluster_runs_it(tmp_path: Path) -> None:
    documents = template(VALUES / "charts/xcache", tmp_path, *given("xcache", tmp_path))
    (spec,) = [spec for one in documents for _name, spec in pods_in(one)]
    volumes = {volume["name"] for volume in spec["volumes"]} | {"cache"}
    assert spec["securityContext"]["runAsUser"] == 10940
    for container in [*spec["initContainers"], *spec["containers"]]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        assert mounted <= volumes
        # the service's key is nowhere but where the proxy is made
        assert ("service" in mounted) == (container.get("args", [""])[0] == "proxy")


def test_cache_trusts_a_private_issuer_when_its_authority_is_named(tmp_path: Path) -> None:
    named = ("--set", "issuerAuthorities=authorities")
    documents = template(VALUES / "charts/xcache", tmp_path, *given("xcache", tmp_path), *named)
    (spec,) = [spec for one in documents for _name, spec in pods_in(one)]
    (cache,) = [one for one in spec["containers"] if one["name"] == "xcache"]
    mounts = {mount["mountPath"]: mount for mount in cache["volumeMounts"]}
    mount = mounts["/etc/ssl/certs/ca-certificates.crt"]
    (volume,) = [one for one in spec["volumes"] if one["name"] == mount["name"]]
    assert volume["configMap"] == {"name": "authorities"}


def test_chart_says_what_is_missing_when_the_cache_has_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"xcache\.values\.yaml"):
        template(VALUES / "charts/xcache", tmp_path)


def test_nodes_are_read_only_when_gpus_are_counted(tmp_path: Path) -> None:
    documents = template(VALUES / "charts/hub-rights", tmp_path, *GPU)
    (role,) = [one for one in documents if one["kind"] == "ClusterRole"]
    verbs = {verb for rule in role["rules"] for verb in rule["verbs"]}
    assert verbs == {"list", "watch"}
    assert {r for rule in role["rules"] for r in rule["resources"]} == {"nodes", "pods"}
    for document in documents:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_chart_says_no_when_a_value_is_misspelt(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="gpuCount"):
        template(VALUES / "charts/hub-rights", tmp_path, "--set", "gpuCount=true")


def test_everything_is_installed_in_order_when_nothing_is_switched(folder: Path) -> None:
    releases = built(folder)
    assert set(releases) == {"hub-rights", "jupyterhub"}
    hub = releases["jupyterhub"]
    assert hub["needs"] == ["analysis-facility/hub-rights"]
    assert hub["values"] == [
        "jupyterhub/values.yaml",
        "./site/facility.values.yaml",
        "./site/site.yaml",
    ]
    assert hub["version"].startswith("4.4.")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_comes_before_the_site_when_it_is_chosen(folder: Path, overlay: str) -> None:
    values = built(folder, "--environment", overlay)["jupyterhub"]["values"]
    assert values[-2:] == [f"jupyterhub/{overlay}.yaml", "./site/site.yaml"]


@pytest.mark.parametrize("part", ["hubRights", "jupyterhub"])
def test_part_is_left_out_when_it_is_switched_off(folder: Path, part: str) -> None:
    helm = program("helm")
    text = run(
        *(program("helmfile"), "--helm-binary", helm, "--state-values-set"),
        *(f"parts.{part}.enabled=false", "list", "--output", "json"),
        cwd=folder,
    )
    enabled = {one["name"]: one["enabled"] for one in yaml.safe_load(text)}
    names = {"hubRights": "hub-rights", "jupyterhub": "jupyterhub"}
    assert enabled.pop(names[part], False) is False
    assert all(enabled.values())


def test_cache_is_installed_when_it_is_switched_on(folder: Path) -> None:
    for name in ("xcache.values.yaml", "xcache.yaml"):
        (folder / "site" / name).write_text(made()[XCACHE] if "values" in name else "{}\n")
    cache = built(folder, "--state-values-set", "parts.xcache.enabled=true")["xcache"]
    assert cache["values"] == ["./site/xcache.values.yaml", "./site/xcache.yaml"]


def test_chart_is_taken_from_a_folder_when_one_is_named(folder: Path) -> None:
    chart = folder / "charts" / "hub-rights"
    hub = built(folder, z2jh=str(chart))["jupyterhub"]
    assert hub["chart"] == str(chart)
    assert "version" not in hub
