"""What a Lab is told about the facility. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from af_hub.compute.form import lab_type_json
from af_hub.compute.options import open_types

if TYPE_CHECKING:
    from af_hub.facility.models import FacilityConfig
    from af_hub.facility.rucio import Rucio


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks.

    Parameters
    ----------
    user
        Name at the hub.
    display_name
        Name for people.
    groups
        Groups in canonical form, sorted.
    """

    user: str
    display_name: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Server:
    """The server that asks.

    Parameters
    ----------
    name
        Name of the named server; empty for the default one.
    profile
        Name of its profile.
    started_at
        Seconds since 1970; None if unknown.
    expires_at
        When its lifetime is over, in seconds since 1970; None: never.
    limits
        What ends it by itself, as `af_hub.spawner.ends.rules.Limit.as_json` tells.
    """

    name: str
    profile: str
    started_at: float | None
    expires_at: float | None
    limits: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class HubAddresses:
    """Where a browser finds the hub.

    Parameters
    ----------
    public
        Base address with a slash at the end, ``https://hub.example.org/hub/``, or only its path.
    """

    public: str

    def page(self, name: str) -> str:
        """Give the address of one of the hub's pages."""
        return self.public.rstrip("/") + "/" + name

    def path(self, name: str) -> str:
        """Give the path alone of one of the hub's pages."""
        return urlsplit(self.page(name)).path


def lab_view(
    facility: FacilityConfig, person: Person, server: Server, hub: HubAddresses
) -> dict[str, Any]:
    """Describe the facility to one user's Lab: no secret, nothing the user may not use.

    Parameters
    ----------
    facility
        The facility.
    person
        Who asks.
    server
        Which server asks.
    hub
        Where a browser finds the hub.

    Returns
    -------
    dict
        JSON: ``about``, ``identity``, ``storage``, ``cache``, ``rucio``, ``compute``, ``server``
        and ``hub``.
    """
    about, identity, gateway = facility.about, facility.identity, facility.compute.gateway
    return {
        "about": {
            "name": about.name,
            "logo": hub.page("logo"),
            "support": about.support,
            "notice": about.notice,
            "aup": about.aup,
        },
        "identity": {
            "user": person.user,
            "display_name": person.display_name,
            "issuer": identity.issuer,
            "groups": list(person.groups),
            "audiences": [
                {"name": name, "audience": item.audience, "scope": item.scope}
                for name, item in identity.audiences.items()
            ],
        },
        "storage": [door.model_dump() for door in facility.storage],
        "cache": {"rules": [rule.model_dump() for rule in facility.cache.rules]},
        "rucio": _rucio_view(facility.rucio, person.user),
        "compute": {
            "gateway": None if gateway is None else gateway.model_dump(),
            "types": [lab_type_json(kind) for kind in open_types(facility.compute, person.groups)],
        },
        "server": {
            "name": server.name,
            "profile": server.profile,
            "started_at": server.started_at,
            "expires_at": server.expires_at,
            "limits": list(server.limits),
            "stop_url": hub.page("home"),
            "profile_url": hub.page("home"),
        },
        "hub": {
            "public_url": hub.public,
            "home_url": hub.page("home"),
            # else a login in another tab would end in a second Lab
            "login_url": hub.page("login") + "?" + urlencode({"next": hub.path("home")}),
        },
    }


def _rucio_view(rucio: Rucio | None, user: str) -> dict[str, Any] | None:
    """Describe the catalogue with this user's own account, not with everybody's."""
    if rucio is None:
        return None
    return {"url": rucio.url, "audience": rucio.audience, "account": rucio.account_of(user)}
