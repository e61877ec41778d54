"""Who somebody is, by ID token and userinfo, whatever the facility makes of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.errors import IdentityError
from af_hub.iam.discovery import Issuer
from af_hub.iam.http import IAMHttp
from af_hub.iam.reader import LoginReader
from af_hub.iam.tokens import TokenAnswer, TokenEndpoint
from af_hub.secret import Secret
from testbed.oidc_provider import CLIENT, OidcProvider, signed

if TYPE_CHECKING:
    from collections.abc import Callable


async def read(
    provider: OidcProvider,
    username_claim: str | Callable[[dict[str, Any]], str],
    *,
    begun_with: str = "n",
    **claims: Any,
) -> str:
    """Return the claimed user name of a login that was begun with a nonce."""
    http = IAMHttp(str(provider.layout.ca_bundle))
    issuer = Issuer(provider.url, http)
    endpoint = TokenEndpoint(
        issuer, http, client_id=CLIENT[0], secret=lambda: Secret(CLIENT[1]), basic_auth=True
    )
    reader = LoginReader(
        issuer,
        endpoint,
        client_id=CLIENT[0],
        profile="auto",
        username_claim=username_claim,
        algorithms=("RS256",),
    )
    now = int(time.time())
    good = {
        "iss": provider.url,
        "sub": "sub-alice",
        "aud": CLIENT[0],
        "iat": now,
        "exp": now + 600,
        "nonce": "n",
    }
    body = {"access_token": "a", "token_type": "Bearer", "id_token": signed(good | claims)}
    name, _ = await reader.first(TokenAnswer.parse(body, asked="", now=now), nonce=begun_with)
    return name


async def test_a_function_makes_the_user_name_when_it_is_one(oidc_provider: OidcProvider) -> None:
    def name_of(claims: dict[str, Any]) -> str:
        return str(claims["email"]).partition("@")[0]

    assert await read(oidc_provider, name_of, email="alice@example.org") == "alice"


@pytest.mark.parametrize(
    "name_of",
    [
        lambda claims: claims["email"],
        lambda claims: claims.get("email").lower(),
        lambda claims: claims["groups"][0],
        lambda claims: int(claims["sub"]),
        lambda _: None,
        lambda _: "",
        "email",
    ],
)
async def test_login_is_refused_when_no_user_name_can_be_made(
    oidc_provider: OidcProvider, name_of: Any
) -> None:
    with pytest.raises(IdentityError) as caught:
        await read(oidc_provider, name_of)
    assert caught.value.code == "claims-malformed"


@pytest.mark.parametrize("nonce", [None, "", "\0", "n"])
async def test_login_is_refused_when_it_was_begun_without_a_nonce(
    oidc_provider: OidcProvider, nonce: str | None
) -> None:
    with pytest.raises(IdentityError) as caught:
        await read(oidc_provider, "sub", begun_with="", nonce=nonce)
    assert caught.value.code == "token-nonce"


async def test_signed_claims_win_when_userinfo_says_otherwise(oidc_provider: OidcProvider) -> None:
    oidc_provider.behaviour.userinfo = {"preferred_username": "mallory"}
    named = await read(oidc_provider, "preferred_username", preferred_username="alice")
    assert named == "alice"


@pytest.mark.parametrize("sub", ["\ud800", "älice", "a\nb", "\0", "x" * 256, 7, ["sub-alice"]])
async def test_login_is_refused_when_the_subject_is_no_plain_text(
    oidc_provider: OidcProvider, sub: object
) -> None:
    oidc_provider.behaviour.userinfo = {"sub": sub}
    with pytest.raises(IdentityError) as caught:
        await read(oidc_provider, "name", sub=sub)
    assert caught.value.code == "token-claims"
