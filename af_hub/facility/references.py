"""What one section of the facility file says about another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from af_hub.facility.xcache import ServiceAudience

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from af_hub.compute.types import ComputeConfig
    from af_hub.facility.about import About
    from af_hub.facility.cache import Cache
    from af_hub.facility.identity import Identity
    from af_hub.facility.kubernetes import Kubernetes
    from af_hub.facility.limits import Limit
    from af_hub.facility.profiles import Profile
    from af_hub.facility.rucio import Rucio
    from af_hub.facility.storage import StorageDoor
    from af_hub.facility.xcache import XCache

Found = tuple[tuple[str | int, ...], str]
"""Location (keys and list positions) and message."""


def dangling(
    *,
    about: About | None = None,  # noqa: ARG001  all sections may be passed
    identity: Identity | None = None,
    profiles: tuple[Profile, ...] | None = None,
    limits: tuple[Limit, ...] | None = None,  # noqa: ARG001
    storage: tuple[StorageDoor, ...] | None = None,
    cache: Cache | None = None,
    rucio: Rucio | None = None,
    xcache: XCache | None = None,
    compute: ComputeConfig | None = None,
    kubernetes: Kubernetes | None = None,  # noqa: ARG001
) -> Iterator[Found]:
    """Find references to names that do not exist, and names that stand twice.

    Parameters
    ----------
    about, identity, profiles, limits, storage, cache, rucio, xcache, compute, kubernetes
        Sections that are right in themselves; ``None`` leaves out what cannot be checked.

    Yields
    ------
    tuple of (location, message)
        Location as keys and list positions.
    """
    if profiles is not None:
        yield from _repeated(("profiles",), [profile.name for profile in profiles])
        for position in [n for n, profile in enumerate(profiles) if profile.default][1:]:
            yield ("profiles", position, "default"), "only one profile can be the default"
    if storage is not None:
        yield from _repeated(("storage",), [door.name for door in storage])
    if cache is not None:
        yield from _hidden_rules(cache)
    if xcache is not None and storage is not None:
        yield from _cache_doors(xcache, storage)
    if identity is None:
        return
    for where, audience in _named_audiences(identity, storage or (), rucio, compute):
        if audience not in identity.audiences:
            known = ", ".join(sorted(identity.audiences)) or "none"
            yield where, f"identity.audiences has no {audience!r} (known: {known})"
    if xcache is not None:
        yield from _cache_tokens(identity, xcache, storage or ())


def _named_audiences(
    identity: Identity,
    storage: Iterable[StorageDoor],
    rucio: Rucio | None,
    compute: ComputeConfig | None,
) -> Iterator[Found]:
    """List every place that names an audience."""
    for name, service in identity.services.items():
        for position, audience in enumerate(service.audiences):
            yield ("identity", "services", name, "audiences", position), audience
    for position, door in enumerate(storage):
        yield ("storage", position, "audience"), door.audience
    if rucio is not None:
        yield ("rucio", "audience"), rucio.audience
    for position, kind in enumerate(compute.types if compute else ()):
        if kind.token is not None:
            yield ("compute", "types", position, "token", "audience"), kind.token.audience


def _repeated(section: tuple[str, ...], names: list[str]) -> Iterator[Found]:
    """Find names that stand twice in a list."""
    for position, name in enumerate(names):
        if name in names[:position]:
            yield (*section, position, "name"), f"the name {name!r} stands twice"


def _hidden_rules(cache: Cache) -> Iterator[Found]:
    """Find rules that never come to their turn: the first that fits is taken."""
    for position, rule in enumerate(cache.rules):
        for earlier in range(position):
            if rule.match.startswith(cache.rules[earlier].match):
                where = ("cache", "rules", position, "match")
                yield where, f"is never reached: cache.rules[{earlier}] fits before it"
                break


def _cache_doors(xcache: XCache, storage: tuple[StorageDoor, ...]) -> Iterator[Found]:
    """Check that the doors of the cache are there and lead to one place, which is not the origin."""
    doors = {door.name: door.address for door in storage}
    places = set()
    for position, name in enumerate(xcache.doors):
        where = ("xcache", "doors", position)
        if name not in doors:
            known = ", ".join(sorted(doors)) or "none"
            yield where, f"storage has no door {name!r} (known: {known})"
        elif not doors[name].is_root:
            yield where, f"the door {name!r} must be a root:// or roots:// address"
        else:
            places.add(doors[name].place)
    if len(places) > 1:
        yield ("xcache", "doors"), "these doors lead to different servers; one XCache is one server"
    if xcache.origin_address.place in places:
        yield ("xcache", "origin"), "is the cache itself: one of its doors has this address"


def _cache_tokens(
    identity: Identity, xcache: XCache, storage: tuple[StorageDoor, ...]
) -> Iterator[Found]:
    """Check that scitokens can be told whose tokens to accept, and for whom they must be."""
    if identity.access_token_issuer is None:
        message = "must be set for an xcache: XRootD compares the tokens' issuer byte for byte"
        yield ("identity", "access_token_issuer"), message
    elif not _fits_scitokens(identity.access_token_issuer):
        yield ("identity", "access_token_issuer"), "holds characters that scitokens.cfg cannot hold"
    used = {door.audience for door in storage if door.name in xcache.doors}
    for name in sorted(used & set(identity.audiences)):
        if not _fits_scitokens(identity.audiences[name].audience):
            where = ("identity", "audiences", name, "audience")
            yield where, "holds characters that scitokens.cfg cannot hold"


def _fits_scitokens(text: str) -> bool:
    """Tell whether a text can stand in scitokens' configuration, which knows no quoting."""
    try:
        TypeAdapter(ServiceAudience).validate_python(text)
    except ValidationError:
        return False
    return True
