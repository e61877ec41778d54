"""The claims of IAM's four token profiles."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from af_hub.embedded.iam.config import TokenProfile
    from af_hub.embedded.iam.people import Person

ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"
"""The WLCG profile's audience for 'no audience in particular'."""

ORGANISATION = "analysis-facility-demo"
"""Name of the organisation that the development IAM is of."""

_BACKDATED = 60
"""Seconds that ``nbf`` lies before ``iat``, for clocks that run behind."""

_ENTITLEMENT = "urn:example:af:group:"


def wlcg_groups(person: Person, scopes: list[str]) -> list[str]:
    """Return ``wlcg.groups``: explicitly asked groups first, then the others, sorted.

    A group that the person is not in is silently left out, as IAM does.
    """
    asked = [scope.removeprefix("wlcg.groups:") for scope in scopes if scope.startswith("wlcg.g")]
    if not asked:
        return []
    mine = {f"/{group}" for group in person.groups}
    first = [group for group in asked if group in mine]
    return first + sorted(mine.difference(first))


def shuffled(groups: frozenset[str]) -> list[str]:
    """Return groups in any order: IAM's changes from run to run in the profiles iam and kc."""
    return random.sample(sorted(groups), len(groups))


def _shared_claims(profile: TokenProfile, person: Person, scopes: list[str]) -> dict[str, Any]:
    """Return the claims that access and ID tokens of a profile share: groups, and AARC's id."""
    if profile == "wlcg":
        groups = wlcg_groups(person, scopes)
        # an empty list is left out, it is not sent as []
        return {"wlcg.groups": groups} if groups else {}
    if profile == "kc":
        return {"roles": shuffled(person.groups)}
    if profile == "aarc":
        claims: dict[str, Any] = {"voperson_id": f"{person.sub}@example.org"}
        if "eduperson_entitlement" in scopes:
            entitlements = [_ENTITLEMENT + group.replace("/", ":") for group in person.groups]
            claims |= {"eduperson_entitlement": entitlements, "entitlements": entitlements}
        return claims
    return {}


def access_claims(
    profile: TokenProfile, person: Person, scopes: list[str], audience: list[str], now: int
) -> dict[str, Any]:
    """Return the profile's claims of an access token, beside iss, sub, exp, iat, jti."""
    claims = _shared_claims(profile, person, scopes)
    if profile == "wlcg":
        claims["wlcg.ver"] = "1.0"
        audience = audience or [ANY_AUDIENCE]
    if profile in {"wlcg", "kc"}:
        claims |= {"nbf": now - _BACKDATED, "scope": " ".join(scopes)}
    if audience:
        claims["aud"] = audience[0] if len(audience) == 1 else audience
    return claims


def id_claims(profile: TokenProfile, person: Person, scopes: list[str]) -> dict[str, Any]:
    """Return the profile's claims of an ID token."""
    claims = _shared_claims(profile, person, scopes)
    if profile == "iam" and "profile" in scopes:
        claims |= authn_info(person, scopes)
    return claims


def authn_info(person: Person, scopes: list[str]) -> dict[str, Any]:
    """Return who somebody is, by scope, as the profile iam tells it in tokens."""
    claims: dict[str, Any] = {}
    if "profile" in scopes:
        claims = {
            "name": person.name,
            "preferred_username": person.username,
            "groups": shuffled(person.groups),
            "organisation_name": ORGANISATION,
        }
    return claims | ({"email": person.email} if "email" in scopes else {})


def user_info(
    profile: TokenProfile, person: Person, scopes: list[str], token: dict[str, Any]
) -> dict[str, Any]:
    """Return the answer of /userinfo; without scope ``profile`` it is only ``sub``.

    wlcg and kc show the groups of the token (old ones stay until refresh), iam those of now.
    """
    if "profile" not in scopes:
        return {"sub": person.sub}
    info: dict[str, Any] = {
        "sub": person.sub,
        "name": person.name,
        "preferred_username": person.username,
        "email": person.email,
        "email_verified": True,
    }
    if profile == "iam":
        return info | ({"groups": shuffled(person.groups)} if person.groups else {})
    if profile == "aarc":
        info["eduperson_scoped_affiliation"] = "member@example.org"
    copied = ("wlcg.groups", "roles", "eduperson_entitlement", "entitlements", "voperson_id")
    return info | {name: token[name] for name in copied if name in token}
