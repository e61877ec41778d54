"""The authenticator's settings, bare, as in any ``jupyterhub_config.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from traitlets import TraitError
from traitlets.config import Config

from af_hub.iam import IAMAuthenticator
from af_hub.iam.groups import STORED_LIMIT, stored

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.oidc_provider import OidcProvider

TRAITS = [
    "issuer",
    "access_token_issuer",
    "token_profile",
    "allowed_groups",
    "admin_groups",
    "stored_groups",
    "username_claim",
    "pin_subject",
    "id_token_algs",
    "refresh_leeway",
    "min_token_lifetime",
    "offline_grace",
    "recheck_on_refresh",
    "group_check_interval",
    "revoke_on_logout",
    "token_audiences",
    "client_id_file",
    "client_secret_file",
]


def bare(**traits: Any) -> Any:
    """Return an authenticator as JupyterHub makes one."""
    return IAMAuthenticator(config=Config(IAMAuthenticator=traits))


@pytest.mark.parametrize("name", TRAITS)
def test_each_trait_can_be_set_and_explains_itself(name: str) -> None:
    trait = IAMAuthenticator.class_traits(config=True)[name]
    assert len(trait.help.split()) >= 10
    assert trait.this_class.__module__.startswith("af_hub.iam.")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("issuer", "http://iam.example/"),
        ("issuer", "iam.example"),
        ("issuer", "https://[iam.example/"),
        ("token_profile", "saml"),
        ("allowed_groups", {"cms"}),
        ("admin_groups", {"/cms/"}),
        ("stored_groups", ["/cms*"]),
        ("id_token_algs", ["none"]),
        ("id_token_algs", ["RS256", "HS256"]),
        ("id_token_algs", []),
        ("refresh_leeway", -1),
        ("min_token_lifetime", -1),
        ("offline_grace", -1),
        ("group_check_interval", 0),
        ("token_audiences", {"x": {"audience": "a"}}),
        ("token_audiences", {"x": {"audience": "a", "scope": "s", "method": "impersonate"}}),
        ("token_audiences", {"x": {"audience": "a", "scope": "s", "secret": "planted"}}),
    ],
)
def test_a_trait_is_refused_when_its_value_is_wrong(name: str, value: object) -> None:
    with pytest.raises(TraitError):
        bare(**{name: value})


def test_client_and_secret_come_from_files_when_these_are_named(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("af-hub\n")
    (tmp_path / "secret").write_text("one\n")
    made = bare(client_id_file=str(tmp_path / "id"), client_secret_file=str(tmp_path / "secret"))
    assert made.client_id == "af-hub"
    assert made._secret().reveal() == "one"
    (tmp_path / "secret").write_text("two\n")
    assert made._secret().reveal() == "two"  # replaced without a restart


def test_scopes_are_asked_for_when_profile_and_audiences_need_them() -> None:
    made = bare(
        token_profile="wlcg",
        token_audiences={"storage": {"audience": "https://s", "scope": "storage.read:/ openid"}},
    )
    assert made.scope == [
        "openid",
        "profile",
        "email",
        "offline_access",
        "wlcg.groups",
        "storage.read:/",
    ]


async def test_addresses_of_the_base_class_win_when_discovery_has_others(
    oidc_provider: OidcProvider,
) -> None:
    made = bare(
        issuer=oidc_provider.url,
        ca_file=str(oidc_provider.layout.ca_bundle),
        token_url="https://inside.example/token",
        userdata_url="https://inside.example/userinfo",
    )
    found = await made.provider.endpoints()
    assert found.token == "https://inside.example/token"
    assert found.userinfo == "https://inside.example/userinfo"
    assert found.authorize == f"{oidc_provider.url}authorize"


@pytest.mark.parametrize("count", [0, 1, STORED_LIMIT, STORED_LIMIT + 1, 10_000])
def test_stored_groups_are_bounded_and_those_of_rules_come_first(count: int) -> None:
    groups = sorted(["/zeta", "/zeta/x", *(f"/cms/{number:05}" for number in range(count))])
    found = stored(groups, ["/**"], named=["/zeta", "/zeta/*"])
    assert len(found) == min(len(groups), STORED_LIMIT)
    assert "/zeta" in found
    assert stored(groups, ["/zeta"]) == ("/zeta",)
    assert stored(groups, []) == ()
