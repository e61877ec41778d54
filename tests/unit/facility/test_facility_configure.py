"""`af_hub.configure` sets traits and keeps what others have set."""

from __future__ import annotations

from pathlib import Path

import pytest
from traitlets.config import Config

import af_hub
from af_hub.errors import ConfigError
from af_hub.facility.load import parse
from af_hub.facility.view import HubAddresses, Person, Server, lab_view
from af_hub.facility.warnings import warnings_of

TEXT = """
about: {name: Ours, notice: "Down {user.__class__} <b>"}
identity:
  issuer: https://iam.example.org/
  client_id: hub
  client_secret_env: AF_TEST_CLIENT_SECRET
  ca_file: ca.pem
  allowed_groups: [/cms/**]
  audiences: {storage: {audience: "https://s", scope: "storage.read:/"}}
  services: {dask-gateway: {audiences: [storage]}}
profiles:
  - {name: small, title: Small}
storage:
  - {name: demo, title: Demo, url: "https://s/store", audience: storage}
compute:
  gateway: {address: "http://h/services/dask-gateway", proxy_address: "gateway://h:8786"}
  types:
    - {name: open, title: Open, backend: local}
    - {name: cms, title: CMS, backend: local, allowed_groups: [/cms/**]}
"""


@pytest.fixture
def facility_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AF_TEST_CLIENT_SECRET", "planted-client-secret")
    file = tmp_path / "facility.yaml"
    file.write_text(TEXT)
    return file


def test_traits_are_set_when_configured(facility_file: Path) -> None:
    c = Config()
    c.JupyterHub.load_roles = [{"name": "other"}]
    c.JupyterHub.template_paths = ["/mine"]
    c.JupyterHub.template_vars = {"mine": 1}
    c.IAMAuthenticator.extra_routes = [("/mine", object)]
    af_hub.configure(c, facility_file, spawner="af-local")
    assert c.JupyterHub.spawner_class == "af-local"
    assert c.JupyterHub.authenticator_class == "af-iam"
    assert c.IAMAuthenticator.allowed_groups == {"/cms/**"}
    assert c.IAMAuthenticator.token_services == {"dask-gateway": {"audiences": ["storage"]}}
    assert [role["name"] for role in c.JupyterHub.load_roles][:3] == ["other", "user", "server"]
    assert set(c.JupyterHub.custom_scopes) == {"custom:af:token", "custom:af:token:dask-gateway"}
    assert c.JupyterHub.template_paths[0] == "/mine"
    assert c.JupyterHub.template_vars["mine"] == 1
    routes = [route[0] for route in c.IAMAuthenticator.extra_routes]
    assert routes[:2] == ["/mine", "/api/af/lab"]
    assert {"/api/af/profiles", "/api/af/usage", "/af/usage"} <= set(routes)
    # JupyterHub warns of it at each start
    assert "extra_handlers" not in c.JupyterHub
    lab = c.LocalSpawner.lab_environment
    assert lab["AF_ISSUER"] == "https://iam.example.org/"
    assert lab["SSL_CERT_FILE"] == str(facility_file.parent / "ca.pem")
    assert lab["DASK_GATEWAY__AUTH__TYPE"] == "jupyterhub"
    assert "planted-client-secret" not in str(lab)


def test_configuration_is_refused_when_the_secret_is_missing(
    facility_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AF_TEST_CLIENT_SECRET")
    with pytest.raises(ConfigError, match="AF_TEST_CLIENT_SECRET"):
        af_hub.configure(Config(), facility_file)


def test_configuration_is_refused_when_the_spawner_is_unknown(facility_file: Path) -> None:
    with pytest.raises(ConfigError, match="known: af-local, af-kube"):
        af_hub.configure(Config(), facility_file, spawner="af-lcal")


PODS = """
kubernetes:
  lab_image: registry.example.org/af/lab:1
  home: {storage_class: fast, size: 5G}
  hub_url: http://hub.af:8081
  ca_config_map: authorities
"""


def test_pods_get_their_own_places_when_labs_run_on_a_cluster(facility_file: Path) -> None:
    facility_file.write_text(TEXT + PODS)
    c = Config()
    af_hub.configure(c, facility_file, spawner="af-kube")
    pods = c.KubeSpawner
    assert c.JupyterHub.spawner_class == "af-kube"
    assert pods.image == "registry.example.org/af/lab:1"
    assert (pods.storage_pvc_ensure, pods.storage_class) == (True, "fast")
    assert pods.storage_capacity == str(5 * 1024**3)
    assert pods.hub_connect_url == "http://hub.af:8081"
    assert pods.profiles == c.LocalSpawner.profiles
    # the hub's own file is not in the pod
    assert pods.lab_environment["SSL_CERT_FILE"] == "/etc/analysis-facility/ca/ca-bundle.pem"
    assert "X509_CERT_DIR" not in pods.lab_environment


def test_labs_trust_what_their_image_trusts_when_no_config_map_is_named(
    facility_file: Path,
) -> None:
    facility_file.write_text(TEXT + PODS.replace("ca_config_map: authorities", "namespace: labs"))
    c = Config()
    facility = af_hub.configure(c, facility_file, spawner="af-kube")
    assert "SSL_CERT_FILE" not in c.KubeSpawner.lab_environment
    assert c.KubeSpawner.namespace == "labs"
    assert any("kubernetes.ca_config_map" in warning for warning in warnings_of(facility))


def test_configuration_is_refused_when_pods_are_wanted_and_not_described(
    facility_file: Path,
) -> None:
    with pytest.raises(ConfigError, match="no section kubernetes"):
        af_hub.configure(Config(), facility_file, spawner="af-kube")


@pytest.mark.parametrize(
    ("image", "right"),
    [
        ("lab", True),
        ("localhost/af/lab:0123456789ab", True),
        ("registry.example.org:5000/a/b_c@sha256:" + "0" * 64, True),
        ("pangeo/../evil:1", False),
        ("lab:1{x}", False),
        ('"lab:1\\n"', False),
        ("https://registry/lab", False),
        ("Lab", False),
        ("lab@sha256:0", False),
    ],
)
def test_image_is_taken_only_when_it_is_a_reference(
    facility_file: Path, image: str, right: bool
) -> None:
    text = TEXT + PODS.replace("registry.example.org/af/lab:1", image)
    if right:
        assert parse(text, facility_file).kubernetes is not None
    else:
        with pytest.raises(ConfigError, match=r"kubernetes\.lab_image"):
            parse(text, facility_file)


@pytest.mark.parametrize(
    ("groups", "types"), [(("/cms/uscms",), ["open", "cms"]), (("/cms",), ["open"]), ((), ["open"])]
)
def test_lab_sees_only_its_users_cluster_types_when_it_asks(
    groups: tuple[str, ...], types: list[str]
) -> None:
    view = lab_view(
        parse(TEXT, Path("/f/facility.yaml")),
        Person("alice", "Alice A.", groups),
        Server("", "small", 1.0, None),
        HubAddresses("https://hub.example.org/hub/"),
    )
    assert [kind["name"] for kind in view["compute"]["types"]] == types
    assert view["identity"]["groups"] == list(groups)
    assert view["hub"]["home_url"] == "https://hub.example.org/hub/home"
    assert "client" not in str(view)
