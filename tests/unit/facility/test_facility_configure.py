"""`af_hub.configure` sets traits and keeps what others have set."""

from __future__ import annotations

from pathlib import Path

import pytest
from traitlets.config import Config

import af_hub
from af_hub.errors import ConfigError
from af_hub.facility.load import parse
from af_hub.facility.view import HubAddresses, Person, Server, lab_view

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
    assert [route[0] for route in c.IAMAuthenticator.extra_routes] == ["/mine", "/api/af/lab"]
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
    with pytest.raises(ConfigError, match="known: af-local"):
        af_hub.configure(Config(), facility_file, spawner="af-lcal")


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
