"""From claims to an identity: IAM's four token profiles, one canonical form (pure functions)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from af_hub.errors import IdentityError
from af_hub.iam.groups import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

TokenProfile = Literal["auto", "iam", "wlcg", "aarc", "kc"]

PROFILES: Final[tuple[TokenProfile, ...]] = ("auto", "iam", "wlcg", "aarc", "kc")

_WLCG_VERSION: Final = re.compile(r"1\.[0-9]+", re.ASCII)
"""WLCG Common JWT Profile 1.3, 2.1.1 and 4.3.3: an unknown major version is refused, a newer minor
accepted."""

_ENTITLEMENTS: Final = ("eduperson_entitlement", "entitlements")
_MARK: Final = ":group:"
_NAME_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is, by verified claims.

    Parameters
    ----------
    iss
        Issuer of the ID token.
    sub
        Subject: with `iss` the only stable name of a person.
    username
        Value of the claim that names hub users.
    name
        Full name for display, possibly the user name.
    groups
        Canonical groups, sorted.
    """

    iss: str
    sub: str
    username: str
    name: str
    groups: tuple[str, ...]


def identity_of(
    claims: Mapping[str, Any], *, profile: TokenProfile = "auto", username_claim: str
) -> Identity:
    """Return the identity that verified claims describe.

    Parameters
    ----------
    claims
        Claims of the ID token, completed by userinfo of the same subject.
    profile
        Which profile the issuer writes; ``auto`` looks at the claims.
    username_claim
        Name of the claim that becomes the hub user name.

    Raises
    ------
    IdentityError
        ``claims-malformed`` if a claim is missing or of the wrong type, ``groups-malformed``,
        ``profile-version``.
    """
    username = _text(claims, username_claim)
    name = claims.get("name")
    return Identity(
        iss=_text(claims, "iss"),
        sub=_text(claims, "sub"),
        username=username,
        name=_shown(name) or username,
        groups=groups_of(claims, profile),
    )


def groups_of(claims: Mapping[str, Any], profile: TokenProfile = "auto") -> tuple[str, ...]:
    """Return the canonical groups of a token.

    A missing claim is the empty list: never "keep the old groups".

    Raises
    ------
    IdentityError
        ``groups-malformed`` or ``profile-version``.
    """
    chosen = detect(claims) if profile == "auto" else profile
    if chosen == "wlcg":
        check_version(claims)
        return canonical(_list(claims, "wlcg.groups"), slash=True)
    if chosen == "aarc":
        return _entitled(claims)
    # INDIGO IAM writes no leading slash, Keycloak's group mapper may
    return canonical(_list(claims, "roles" if chosen == "kc" else "groups"), slash=None)


def detect(claims: Mapping[str, Any]) -> TokenProfile:
    """Return the profile that the claims' names show; ``iam`` where nothing shows."""
    if "wlcg.groups" in claims or "wlcg.ver" in claims:
        return "wlcg"
    if any(name in claims for name in _ENTITLEMENTS):
        return "aarc"
    if "roles" in claims and "groups" not in claims:
        return "kc"
    return "iam"


def _entitled(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Read AARC-G069 entitlements, ``urn:<nid>:<ns>:group:cms:uscms[:role=…][#authority]``.

    Entitlements that are no groups, and roles in a group, are other people's business and are
    passed over.
    """
    found = []
    for name in _ENTITLEMENTS:
        for entitlement in _list(claims, name):
            if not isinstance(entitlement, str):
                return canonical([entitlement], slash=None)  # raises
            urn, _, _authority = entitlement.partition("#")
            _, mark, path = urn.partition(_MARK)
            parts = path.split(":")
            if mark and urn.startswith("urn:") and not any(p.startswith("role=") for p in parts):
                found.append("/" + "/".join(parts))
    return canonical(found, slash=True)


def check_version(claims: Mapping[str, Any]) -> None:
    """Refuse a token of a WLCG profile that is not known here.

    Raises
    ------
    IdentityError
        ``profile-version``. Tokens without ``wlcg.ver`` pass: INDIGO IAM writes it only in the
        profile ``wlcg``, and there into access tokens only.
    """
    version = claims.get("wlcg.ver")
    if version is None:
        return
    if not isinstance(version, str) or _WLCG_VERSION.fullmatch(version) is None:
        raise IdentityError(
            "profile-version",
            "Your identity provider writes tokens of a version that this facility does not know. "
            "Please tell the facility's support.",
        )


def _list(claims: Mapping[str, Any], name: str) -> list[object]:
    value = claims.get(name)
    if value is None:
        return []
    # a string is iterable: the stock authenticator makes groups c, m, s of "cms"
    return list(value) if isinstance(value, list) else [None]


def _shown(name: object) -> str:
    """Return a name for display: printable, so neither half characters nor changes of direction."""
    text = name[:_NAME_LENGTH] if isinstance(name, str) else ""
    return "".join(character for character in text if character.isprintable()).strip()


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value or len(value) > 1024:
        raise IdentityError(
            "claims-malformed",
            "Your identity provider did not send everything that a login needs "
            f"(claim {name!r}). Please tell the facility's support.",
        )
    return value
