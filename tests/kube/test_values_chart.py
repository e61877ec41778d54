"""Our values in the Zero-to-JupyterHub chart itself, where ``Z2JH_CHART`` names a folder with it.

The chart is on no package registry, so this is by hand: ``Z2JH_CHART=…/zero-to-jupyterhub-k8s/jupyterhub``.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml

from af_hub.kube_values import FILE, Site
from testbed.egress import Pod, permits
from testbed.helm import KUBERNETES, REPOSITORY, VALUES, run, template
from testbed.pod_security import pods_in, violations
from testbed.values import BASE, EXAMPLE, OVERLAYS, TEXT, made, write_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LABELS = {"app": "jupyterhub", "release": "facility", "app.kubernetes.io/name": "jupyterhub"}
HUB = Pod({**LABELS, "component": "hub", "app.kubernetes.io/component": "hub"})
PROXY = Pod({**LABELS, "component": "proxy", "app.kubernetes.io/component": "proxy"})
LAB = Pod({**LABELS, "component": "singleuser-server"})
SECRETS = {
    "client-secret": "client-secret-of-the-test",
    "crypt-key": f"{'ab' * 32} {'cd' * 32}",
    "cookie-secret": "ef" * 32,
    "database-password": "word-of-the-test",
}
DNS = Pod(namespace="kube-system")
PUBLIC = ip_address("192.0.2.7")


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the chart with its schema in the form that Helm checks."""
    place = os.environ.get("Z2JH_CHART", "")
    if not place:
        pytest.skip("Z2JH_CHART names no folder with the Zero-to-JupyterHub chart: by hand only")
    target = tmp_path_factory.mktemp("z2jh") / "jupyterhub"
    shutil.copytree(place, target)
    schema = yaml.safe_load((target / "values.schema.yaml").read_text())
    (target / "values.schema.json").write_text(json.dumps(schema))
    return target


@pytest.fixture(scope="module")
def facility_values(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the generated values."""
    site = Site.read(public_url="https://hub.example.org", subdomains=False)
    file = tmp_path_factory.mktemp("values") / FILE
    file.write_text(made(TEXT, site=site)[FILE])
    return file


def rendered(chart: Path, facility_values: Path, folder: Path, overlay: str = "") -> list[Any]:
    """Render the chart as an administrator would."""
    files = [BASE, facility_values, EXAMPLE]
    if overlay:
        files.insert(2, VALUES / "jupyterhub" / f"{overlay}.yaml")
    return template(chart, folder, *(part for file in files for part in ("--values", file)))


def policies(documents: list[Any]) -> dict[str, Any]:
    """Return the egress rules by policy."""
    return {
        one["metadata"]["name"]: one["spec"]["egress"]
        for one in documents
        if one["kind"] == "NetworkPolicy"
    }


def connections() -> Iterator[tuple[Any, int, str, bool]]:
    """Give connections of a user's pod, and whether they are meant to be open."""
    yield HUB, 8081, "TCP", True
    yield PROXY, 8000, "TCP", True
    yield PROXY, 8443, "TCP", True
    yield DNS, 53, "UDP", True
    yield DNS, 53, "TCP", True
    yield Pod({"app.kubernetes.io/name": "xcache"}), 1094, "TCP", True
    yield Pod({"app.kubernetes.io/name": "xcache"}, "caches"), 1095, "TCP", True
    yield Pod({"app.kubernetes.io/name": "dask-gateway"}), 8786, "TCP", True
    for port in (443, 8443, 8444):
        yield PUBLIC, port, "TCP", True
    yield ip_address("10.1.2.3"), 443, "TCP", True
    yield HUB, 8082, "TCP", False
    yield PROXY, 8001, "TCP", False
    yield LAB, 8888, "TCP", False
    yield DNS, 443, "TCP", False
    yield ip_address("10.0.0.10"), 53, "UDP", False
    yield ip_address("10.96.0.1"), 443, "TCP", False
    yield ip_address("169.254.169.254"), 80, "TCP", False
    yield ip_address("169.254.169.254"), 53, "UDP", False
    yield PUBLIC, 80, "TCP", False
    yield PUBLIC, 22, "TCP", False
    yield Pod({"app.kubernetes.io/name": "postgres"}), 5432, "TCP", False


@pytest.mark.parametrize("overlay", ["", *OVERLAYS])
def test_chart_takes_our_values_when_it_checks_them(
    chart: Path, facility_values: Path, tmp_path: Path, overlay: str
) -> None:
    documents = rendered(chart, facility_values, tmp_path, overlay)
    for document in documents:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    pods = [pod for document in documents for pod in pods_in(document)]
    assert {name for name, _spec in pods} >= {"Deployment hub", "Deployment proxy"}
    assert [(name, faults) for name, spec in pods if (faults := violations(spec))] == []


def test_chart_says_no_when_a_value_is_misspelt(
    chart: Path, facility_values: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("hub: {concurentSpawnLimit: 3}\n")
    with pytest.raises(AssertionError, match="concurentSpawnLimit"):
        template(chart, tmp_path, "--values", BASE, "--values", facility_values, "--values", wrong)


def test_users_pods_reach_what_is_named_when_the_chart_has_added_its_rules(
    chart: Path, facility_values: Path, tmp_path: Path
) -> None:
    rules = policies(rendered(chart, facility_values, tmp_path))["singleuser"]
    for to, port, protocol, wanted in connections():
        assert permits(rules, to, port, protocol) is wanted, (to, port, protocol)


def test_hub_and_proxy_reach_little_when_the_chart_has_added_its_rules(
    chart: Path, facility_values: Path, tmp_path: Path
) -> None:
    found = policies(rendered(chart, facility_values, tmp_path))
    assert permits(found["hub"], PROXY, 8001)
    assert permits(found["hub"], ip_address("10.96.0.1"), 443)
    # nothing private but the ports of API servers and databases
    assert not permits(found["hub"], ip_address("10.96.0.1"), 22)
    assert permits(found["hub"], PUBLIC, 8444)
    assert not permits(found["hub"], PUBLIC, 80)
    assert not permits(found["hub"], ip_address("169.254.169.254"), 80)
    assert permits(found["proxy"], Pod({"app.kubernetes.io/name": "dask-gateway"}), 8000)
    assert not permits(found["proxy"], PUBLIC, 443)
    assert not permits(found["proxy"], ip_address("10.96.0.1"), 443)


def test_chart_gives_no_rights_when_ours_are_there(
    chart: Path, facility_values: Path, tmp_path: Path
) -> None:
    kinds = {one["kind"] for one in rendered(chart, facility_values, tmp_path)}
    assert not {kind for kind in kinds if "Role" in kind}


def test_hub_finds_file_secrets_and_account_when_the_chart_has_mounted_them(
    chart: Path, facility_values: Path, tmp_path: Path
) -> None:
    documents = rendered(chart, facility_values, tmp_path)
    (spec,) = [spec for one in documents for name, spec in pods_in(one) if name == "Deployment hub"]
    assert spec["serviceAccountName"] == "hub"
    (hub,) = spec["containers"]
    mounts = {mount["mountPath"]: mount for mount in hub["volumeMounts"]}
    assert mounts["/etc/analysis-facility/facility.yaml"]["subPath"] == "facility.yaml"
    assert mounts["/etc/analysis-facility/secrets"]["readOnly"] is True
    assert "/etc/analysis-facility/pictures/logo.png" in mounts
    (secret,) = [one for one in documents if one["kind"] == "Secret"]
    assert secret["stringData"]["facility.yaml"].strip() == TEXT.strip()


def configured(documents: list[Any], folder: Path) -> dict[str, Any]:
    """Run the chart's configuration of the hub, with the files that its pod would have."""
    mounted, etc = folder / "jupyterhub", folder / "etc"
    parts = {"ConfigMap": "config", "Secret": "secret"}
    for one in documents:
        if one["kind"] in parts and one["metadata"]["name"] == "hub":
            place = mounted / parts[one["kind"]]
            place.mkdir(parents=True)
            for name, text in one["data"].items():
                data = base64.b64decode(text) if one["kind"] == "Secret" else text.encode()
                (place / name).write_bytes(data.replace(b"/etc/analysis-facility", bytes(etc)))
    write_site(etc)
    (etc / "secrets").mkdir()
    for name, text in SECRETS.items():
        (etc / "secrets" / name).write_text(f"{text}\n")
    # the hub's image has curl
    curl = 'AsyncHTTPClient.configure("tornado.curl_httpclient.CurlAsyncHTTPClient")'
    for name in ("jupyterhub_config.py", "z2jh.py"):
        code = (mounted / "config" / name).read_text().replace(curl, "")
        (mounted / name).write_text(code.replace("/usr/local/etc/jupyterhub", str(mounted)))
    ports = {"HUB_SERVICE_PORT": "8081", "PROXY_API_SERVICE_PORT": "8001"}
    said = run(
        *(sys.executable, "-m", "testbed.chart_hub", mounted / "jupyterhub_config.py"),
        cwd=folder,
        environment={**ports, "POD_NAMESPACE": "facility", "PYTHONPATH": str(REPOSITORY / "tests")},
    )
    read: dict[str, Any] = json.loads(said.splitlines()[-1])
    return read


def test_hub_is_ours_when_the_charts_own_configuration_has_run(
    chart: Path, facility_values: Path, tmp_path: Path
) -> None:
    said = configured(rendered(chart, facility_values, tmp_path), tmp_path)
    assert said["classes"] == ["af-iam", "af-kube"]
    assert said["issuer"] == "https://iam.example.org:8444/"
    assert said["callback"] == "https://hub.example.org/hub/oauth_callback"
    assert said["client_secret_file"].endswith("/secrets/client-secret")
    assert said["admin_access"] is False
    assert said["keys"] == SECRETS["crypt-key"].split()
    assert said["cookie"] == SECRETS["cookie-secret"]
    assert said["password"] == SECRETS["database-password"]
    assert said["database"].startswith("postgresql+psycopg2://")
    assert said["services"]["transfers"] == ["api_token", "name"]
    assert said["services"]["dask-gateway"] == ["api_token", "display", "name", "url"]
    assert {"jupyterhub-idle-culler", "user", "server"} <= set(said["roles"])


def test_lab_is_restricted_when_the_charts_own_configuration_has_run(
    chart: Path, facility_values: Path, tmp_path: Path
) -> None:
    pod = configured(rendered(chart, facility_values, tmp_path), tmp_path)["pod"]
    spec = pod["spec"]
    assert violations(spec) == []
    assert spec["automountServiceAccountToken"] is False
    assert not spec.get("initContainers")
    (lab,) = spec["containers"]
    assert lab["image"] == "registry.example.org:5000/af/lab:3"
    assert lab["resources"]["limits"] == {"cpu": 2.0, "memory": 2**30}
    mounted = {mount["mountPath"] for mount in lab["volumeMounts"]}
    assert {"/home/jovyan", "/etc/analysis-facility/ca"} < mounted
    assert len(mounted) == len(lab["volumeMounts"])
    # the chart's policies know its pods by these
    labels = pod["metadata"]["labels"]
    assert labels["component"] == "singleuser-server"
    assert labels["hub.jupyter.org/network-access-hub"] == "true"


def test_subdomains_are_routed_when_they_are_on(chart: Path, tmp_path: Path) -> None:
    site = Site.read(public_url="https://hub.example.org", subdomains=True)
    file = tmp_path / FILE
    file.write_text(made(TEXT, site=site)[FILE])
    documents = rendered(chart, file, tmp_path)
    (spec,) = [
        spec for one in documents for name, spec in pods_in(one) if name == "Deployment proxy"
    ]
    assert "--host-routing" in spec["containers"][0]["args"]
