"""The administrator's page on identity tells the truth, and leaves nothing out."""

from __future__ import annotations

import ast
import importlib
import re
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from traitlets.config import Config

import af_hub
from af_hub.facility.identity import Identity
from af_hub.iam import IAMAuthenticator
from af_hub.iam.broker import NARROWED_PER_USER
from af_hub.iam.groups import STORED_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
PLACE = ROOT / "docs/administrator/identity.md"
PAGE = PLACE.read_text(encoding="utf-8")
TRAITS = IAMAuthenticator.class_traits(config=True)
OURS = {name for name, one in TRAITS.items() if one.this_class.__module__.startswith("af_hub.")}


@pytest.fixture(scope="module")
def generate() -> Iterator[Any]:
    """Give the program that writes the reference pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs"))
        yield importlib.import_module("generate")
        patch.delitem(sys.modules, "generate")


def section(title: str) -> str:
    """Return what stands below a heading."""
    level = re.search(rf"^(#+) {re.escape(title)}$", PAGE, flags=re.MULTILINE)
    assert level is not None, title
    rest = PAGE[level.end() :]
    end = re.search(rf"^#{{1,{len(level[1])}}} ", rest, flags=re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> list[list[str]]:
    """Return the cells of a section's tables, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]
    return [row for row in cells[2:] if not set(row[0]) <= {"-", " "}]


def block(language: str, beginning: str) -> str:
    """Return the code that begins with a comment."""
    found = re.findall(rf"```{language}\n({re.escape(beginning)}.*?)```", PAGE, flags=re.DOTALL)
    assert len(found) == 1
    return str(found[0])


# --- settings ---


def test_every_trait_stands_on_the_page_with_its_default() -> None:
    authenticator = IAMAuthenticator()
    told = {row[0].strip("`"): row for row in rows(section("Settings"))}
    assert set(told) == OURS
    for name, row in told.items():
        assert row[1].strip("`") == repr(getattr(authenticator, name)), name


def test_keys_of_the_facility_file_are_those_of_its_model() -> None:
    text = section("Settings")
    named = text[text.index("below `identity:`") : text.index("All others")]
    keys = set(re.findall(r"`(\w+)`", named)) - {"token_audiences", "token_services"}
    assert keys == set(Identity.model_fields) & (OURS | {"audiences", "services"})


def test_every_trait_stands_in_the_reference_with_its_default(generate: Any) -> None:
    page = generate.traits_page()
    hidden = re.search(r"IAMAuthenticator\n +:exclude-members: (.*)", page)
    assert hidden is not None
    foreign = set(hidden[1].split(", "))
    # ours by autodoc, the others in the table
    assert foreign == set(TRAITS) - OURS
    table = page[hidden.end() : page.index("LocalSpawner")]
    assert set(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)) == foreign
    assert "| `auth_refresh_strict` | `True` |" in table
    assert "| `validate_server_cert` | `True` |" in table


def test_no_secret_is_in_the_reference_when_the_environment_has_one(
    generate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OAUTH_CLIENT_SECRET", "OAUTH_CLIENT_ID", "OAUTH_CALLBACK_URL"):
        monkeypatch.setenv(name, "planted-value")
    assert "planted-value" not in generate.traits_page()


def test_settings_without_effect_are_used_nowhere() -> None:
    text = section("Settings")
    named = text[text.index("These do nothing here") : text.index("`scope` is made")]
    sources = "".join(path.read_text() for path in (ROOT / "af_hub/iam").glob("*.py"))
    for name in re.findall(r"`(\w+)`", named):
        assert name in TRAITS
        assert not re.search(rf"\bself\.{name}\b|authenticator\.{name}\b", sources)


def test_numbers_are_those_of_the_code() -> None:
    assert f"told of {STORED_LIMIT} groups" in PAGE
    assert f"{NARROWED_PER_USER} different tokens at a time" in PAGE


# --- error codes ---


def test_every_code_of_identity_stands_on_the_page_and_no_other(generate: Any) -> None:
    made = {one.code for one in generate.error_codes(("af_hub/iam",))}
    assert {"token-clock", "token-hash", "iam-keys-expired", "scope-missing"} <= made
    assert {row[0].strip("`") for row in rows(section("Error codes"))} == made
    symptoms = {row[1].strip("`") for row in rows(section("A checklist by symptom"))}
    assert symptoms - {""} <= made


def test_every_code_of_identity_stands_in_the_reference(generate: Any) -> None:
    page = generate.errors_page()
    for one in generate.error_codes(("af_hub/iam",)):
        assert f"| `{one.code}` | {one.kind} |" in page
        assert len(one.message.split()) >= 4


# --- the WLCG profile ---


def test_every_test_that_a_rule_names_exists() -> None:
    table = rows(section("The WLCG profile, rule by rule"))
    links = re.findall(r"\[(test_\w+)\]\(([^)]+)\)", PAGE)
    assert len(links) > 40
    for name, path in links:
        tree = ast.parse((PLACE.parent / path).resolve().read_text(encoding="utf-8"))
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        assert name in {node.name for node in tree.body if isinstance(node, functions)}, name
    for row in table:
        assert row[3] or row[2].startswith("not applicable"), row


def test_every_test_of_the_profile_stands_in_the_table() -> None:
    tree = ast.parse((ROOT / "tests/unit/iam/test_wlcg_profile.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert not node.name.startswith("test_") or f"[{node.name}]" in PAGE, node.name


# --- the three forms ---


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """Give what stands for ``/etc/af``, with its secrets."""
    (tmp_path / "secrets").mkdir()
    for name in ("iam-client-secret", "transfers-token", "crypt-key"):
        (tmp_path / "secrets" / name).write_text(f"{'ab' * 32}\n")
        (tmp_path / "secrets" / name).chmod(0o600)
    return tmp_path


def run(program: str, etc: Path) -> Config:
    """Run a configuration as JupyterHub does; what lies in ``/etc/af`` lies in `etc`."""
    c = Config()
    path = etc / "jupyterhub_config.py"
    path.write_text(program.replace("/etc/af/", f"{etc}/"))
    runpy.run_path(str(path), {"c": c})
    return c


def settings(c: Config) -> dict[str, Any]:
    """Return the traits that must be the same, as the authenticator takes them."""
    authenticator = IAMAuthenticator(config=c)
    found = {name: getattr(authenticator, name) for name in OURS - {"extra_routes"}}
    audiences = {
        name: {"method": "exchange"} | one for name, one in found["token_audiences"].items()
    }
    hub = c.JupyterHub
    return found | {
        "token_audiences": audiences,
        "client_id": authenticator.client_id,
        "scope": authenticator.scope,
        "class": hub.authenticator_class,
        "custom_scopes": hub.custom_scopes,
        "load_roles": hub.load_roles,
    }


def test_the_three_forms_set_the_same(etc: Path) -> None:
    bare = settings(run(block("python", "# jupyterhub_config.py"), etc))
    assert bare["token_services"] == {"transfers": {"audiences": ["storage"]}}

    def facility(text: str) -> None:
        (etc / "facility.yaml").write_text(text.replace("/etc/af/", f"{etc}/"))

    facility(block("yaml", "# /etc/af/facility.yaml"))
    c = Config()
    af_hub.configure(c, etc / "facility.yaml")
    assert settings(c) == bare

    hub = yaml.safe_load(block("yaml", "# values.yaml of the chart"))["hub"]
    (file,) = hub["extraFiles"].values()
    assert file["mountPath"] == "/etc/af/facility.yaml"
    assert hub["extraVolumeMounts"][0]["mountPath"] == "/etc/af/secrets"
    facility(file["stringData"])
    c = run("\n".join(hub["extraConfig"].values()), etc)
    assert settings(c) == bare
    assert c.IAMAuthenticator.oauth_callback_url.endswith("/hub/oauth_callback")
    assert set(hub["services"]) == set(bare["token_services"])
