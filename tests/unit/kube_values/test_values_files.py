"""The values that we keep: our schema, nothing secret, nothing that weakens a pod."""

from __future__ import annotations

import ast
import copy
import re
from typing import TYPE_CHECKING, Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from testbed.helm import KUBERNETES, VALUES
from testbed.pod_security import pods_in, violations
from testbed.values import BASE, EXAMPLE, OVERLAYS, schema, values

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = VALUES.parent
FILES = sorted(path for path in VALUES.rglob("*") if path.is_file())
NAMES = (
    *("analysis-facility", "client-secret", "hub-tls", "tls.key", "tls.crt"),
    *("xcache-tls", "xcache-service"),
)
"""What may stand under a key that sounds of a secret: names, no values."""


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Walk through a document."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, str(key)))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    else:
        yield path, value


def documents() -> Iterator[tuple[str, Any]]:
    """Give every YAML document that we keep for clusters, by the name of its file."""
    places = [*VALUES.rglob("*.yaml"), *(REPOSITORY / "tests/kube").rglob("*.yaml")]
    for path in places:
        if "templates" not in path.parts:
            for document in yaml.safe_load_all(path.read_text()):
                yield str(path.relative_to(REPOSITORY)), document
    for path in [*(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "images").rglob("*.md")]:
        for block in re.findall(r"^```yaml\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE):
            if "kind:" in block:
                for document in yaml.safe_load_all(block):
                    yield str(path.relative_to(REPOSITORY)), document


@pytest.mark.parametrize("name", ["values", *OVERLAYS, "site.example"])
def test_file_fits_our_schema_when_it_is_kept(name: str) -> None:
    text = (VALUES / "jupyterhub" / f"{name}.yaml").read_text()
    jsonschema.Draft7Validator.check_schema(schema())
    problems = jsonschema.Draft7Validator(schema()).iter_errors(yaml.safe_load(text))
    assert not [(list(one.path), one.message) for one in problems]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("hub", "cookieSecret"), "0" * 64),
        (("hub", "db", "password"), "x"),
        (("hub", "db", "url"), "postgresql://jupyterhub:word@postgres/jupyterhub"),
        (("hub", "config", "IAMAuthenticator", "client_secret"), "x"),
        (("hub", "config", "CryptKeeper"), {"keys": ["x"]}),
        (("hub", "services", "dask-gateway", "apiToken"), "x"),
        (("hub", "extraEnv", "IAM_SECRET"), "x"),
        (("proxy", "secretToken"), "x"),
        (("hub", "config", "JupyterHub", "authenticator_class"), "dummy"),
        (("hub", "config", "JupyterHub", "admin_access"), True),
        (("hub", "containerSecurityContext", "allowPrivilegeEscalation"), True),
        (("singleuser", "cloudMetadata", "blockWithIptables"), True),
        (("singleuser", "networkPolicy", "enabled"), False),
        (("singleuser", "uid"), 0),
        (("singleuser", "memories"), {"limit": None}),
    ],
)
def test_schema_refuses_when_a_value_is_secret_weak_or_misspelt(
    place: tuple[str, ...], value: Any
) -> None:
    read = copy.deepcopy(yaml.safe_load(BASE.read_text()))
    target = read
    for key in place[:-1]:
        target = target.setdefault(key, {})
    target[place[-1]] = value
    assert list(jsonschema.Draft7Validator(schema()).iter_errors(read))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(VALUES)))
def test_file_holds_no_secret_when_it_is_searched(path: Any) -> None:
    text = path.read_text()
    assert "PRIVATE KEY" not in text
    assert not re.search(r"eyJ[A-Za-z0-9_-]{8,}", text), "a token"
    assert not re.search(r"://[^/\s:@]+:[^/\s@]+@", text), "a password in an address"
    assert not re.search(r"(?<![A-Za-z0-9])[A-Za-z0-9+/]{32,}={0,2}(?![A-Za-z0-9])", text)
    if path.suffix == ".yaml" and "templates" not in path.parts:
        for place, value in leaves(yaml.safe_load(text)):
            if re.search(r"secret|password|token|key|cookie", ".".join(place), re.IGNORECASE):
                assert is_a_name(value), (place, value)


def is_a_name(value: Any) -> bool:
    """Tell whether this is the name of something, or the hub's code that reads files."""
    if not isinstance(value, str) or "\n" in value:
        return True
    return value in NAMES or re.fullmatch(r"[a-z.-]+/[a-z.-]+|0\d+", value) is not None


def test_no_secret_is_in_the_values_when_they_are_made() -> None:
    read = values()
    for place, value in leaves(read):
        if re.search(r"secret|password|token|cookie", place[-1], re.IGNORECASE):
            assert is_a_name(value), (place, value)


def test_hubs_own_code_is_python_when_the_chart_runs_it() -> None:
    code = yaml.safe_load(BASE.read_text())["hub"]["extraConfig"]["10-analysis-facility"]
    # the chart runs it among its own names, and a site's own code comes after it
    made = [node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]
    assert made == ["_secret"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_changes_something_known_when_it_is_laid_over(overlay: str) -> None:
    base = yaml.safe_load(BASE.read_text())
    over = yaml.safe_load((VALUES / "jupyterhub" / f"{overlay}.yaml").read_text())
    same = [place for place, value in leaves(over) if (place, value) in list(leaves(base))]
    assert over
    assert not same, "an overlay repeats nothing"


def test_secret_and_file_are_where_the_hub_looks_when_the_chart_mounts_them() -> None:
    from af_hub.kube_values.places import HUB_FILE, SECRET_NAME, SECRETS

    hub = yaml.safe_load(BASE.read_text())["hub"]
    (volume,), (mount,) = hub["extraVolumes"], hub["extraVolumeMounts"]
    assert volume["secret"] == {"secretName": SECRET_NAME, "defaultMode": 0o440}
    assert mount == {"name": volume["name"], "mountPath": str(SECRETS), "readOnly": True}
    code = hub["extraConfig"]["10-analysis-facility"]
    assert f'af_hub.configure(c, "{HUB_FILE}", spawner="af-kube")' in code
    assert f'Path("{SECRETS}", name)' in code
    assert "image" not in hub
    assert "image" in yaml.safe_load(EXAMPLE.read_text())["hub"]


def test_every_pod_is_restricted_when_we_define_it() -> None:
    faults = [
        (place, name, violations(spec))
        for place, document in documents()
        for name, spec in pods_in(document)
    ]
    assert not [one for one in faults if one[2]]


def test_kubernetes_takes_every_document_when_we_define_it() -> None:
    for place, document in documents():
        if isinstance(document, dict) and "apiVersion" in document and "kind" in document:
            try:
                kubernetes_validate.validate(document, KUBERNETES, strict=True)
            except kubernetes_validate.SchemaNotFoundError:
                continue  # a kind of somebody else's
            except kubernetes_validate.ValidationError as error:
                pytest.fail(f"{place}: {error}")


def test_rights_are_the_least_when_the_hub_gets_them() -> None:
    rules = yaml.safe_load((VALUES / "charts/hub-rights/files/hub.yaml").read_text())
    given = {(r, v) for one in rules for r in one["resources"] for v in one["verbs"]}
    assert not {"secrets", "services", "nodes", "*"} & {resource for resource, _ in given}
    assert not {"update", "patch", "deletecollection", "*"} & {verb for _, verb in given}
    assert yaml.safe_load(BASE.read_text())["rbac"] == {"create": False}


def test_rights_are_those_that_are_tested_when_the_hub_gets_them() -> None:
    ours = yaml.safe_load((VALUES / "charts/hub-rights/files/hub.yaml").read_text())
    manifest = REPOSITORY / "tests/kube/manifests/hub-role.yaml"
    (role,) = [one for one in yaml.safe_load_all(manifest.read_text()) if one["kind"] == "Role"]
    assert ours == role["rules"]
