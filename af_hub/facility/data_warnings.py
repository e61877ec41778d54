"""What the sections about data allow although it is probably not meant. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from af_hub.facility.addresses import components
from af_hub.facility.xcache import ANY_AUDIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from af_hub.facility.models import FacilityConfig
    from af_hub.facility.xcache import XCache

_KIB = 1024


def data_warnings(facility: FacilityConfig) -> Iterator[str]:
    """List what is allowed but probably not meant, one sentence each."""
    yield from _rules(facility)
    if facility.xcache is not None:
        yield from _audiences(facility, facility.xcache)
        yield from _doors(facility)
        yield from _settings(facility.xcache)


def _rules(facility: FacilityConfig) -> Iterator[str]:
    """Find rules that lead to a server for which no door says which token it takes."""
    known = {door.address.place for door in facility.storage}
    if facility.xcache is not None and facility.xcache.https_address is not None:
        known.add(facility.xcache.https_address.place)
    for position, rule in enumerate(facility.cache.rules):
        if rule.target.place not in known:
            yield (
                f"cache.rules[{position}].replace leads to {rule.target.host}:{rule.target.port}, "
                "where no storage door is: Labs do not know which token it takes."
            )


def _audiences(facility: FacilityConfig, xcache: XCache) -> Iterator[str]:
    """Find tokens that are good for more than this cache and these paths."""
    for name in sorted({door.audience for door in facility.doors_of_the_cache()}):
        audience = facility.identity.audiences[name]
        if audience.audience == ANY_AUDIENCE:
            yield (
                f"identity.audiences.{name}.audience: such a token opens every service that trusts "
                "the issuer, if it leaks. Ask for one for the XCache alone."
            )
        if "storage.read" in audience.scope.split():
            # against the WLCG profile (scitokens-cpp, all versions so far)
            yield (
                f"identity.audiences.{name}.scope: storage.read without a path opens everything at "
                "an XCache; write storage.read:/PATH."
            )
    if ANY_AUDIENCE in xcache.extra_audiences:
        yield (
            f"xcache.extra_audiences: {ANY_AUDIENCE} is accepted by scitokens anyway, leave it out."
        )


def _doors(facility: FacilityConfig) -> Iterator[str]:
    """Find doors whose token opens nothing behind them: an XCache takes paths as they are."""
    for position, door in enumerate(facility.storage):
        if facility.xcache is None or door.name not in facility.xcache.doors:
            continue
        audience = facility.identity.audiences[door.audience]
        if "wlcg.groups" in audience.scope:
            continue
        behind = components(door.address.path)
        paths = [
            components(scope.partition(":")[2])
            for scope in audience.scope.split()
            if scope == "storage.read" or scope.startswith("storage.read:/")
        ]
        if not any(path[: len(behind)] == behind[: len(path)] for path in paths):
            yield (
                f"storage[{position}].url: the tokens of the audience {door.audience!r} have no "
                f"storage.read scope for {door.address.path or '/'}, so this door shows nothing."
            )


def _settings(xcache: XCache) -> Iterator[str]:
    """Find settings that work, but not as one would wish."""
    if xcache.https is not None and not xcache.origin_address.is_loopback:
        yield (
            "xcache.https: over https the XCache passes users' tokens on to the origin in clear; "
            "use root:// alone, or tokens that are good for this cache and these paths only."
        )
    if not 256 * _KIB <= xcache.block_size <= 1024 * _KIB:
        yield "xcache.block_size: ROOT files are read best with blocks of 256K to 1M."
