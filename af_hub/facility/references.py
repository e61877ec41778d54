"""What one section of the facility file says about another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from af_hub.compute.types import ComputeConfig
    from af_hub.facility.about import About
    from af_hub.facility.identity import Identity
    from af_hub.facility.profiles import Profile
    from af_hub.facility.storage import StorageDoor

Found = tuple[tuple[str | int, ...], str]
"""Location (keys and list positions) and message."""


def dangling(
    *,
    about: About | None = None,  # noqa: ARG001  all sections may be passed
    identity: Identity | None = None,
    profiles: tuple[Profile, ...] | None = None,
    storage: tuple[StorageDoor, ...] | None = None,
    compute: ComputeConfig | None = None,
) -> Iterator[Found]:
    """Find references to names that do not exist, and names that stand twice.

    Parameters
    ----------
    about, identity, profiles, storage, compute
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
    if identity is None:
        return
    for where, audience in _named_audiences(identity, storage or (), compute):
        if audience not in identity.audiences:
            known = ", ".join(sorted(identity.audiences)) or "none"
            yield where, f"identity.audiences has no {audience!r} (known: {known})"


def _named_audiences(
    identity: Identity, storage: Iterable[StorageDoor], compute: ComputeConfig | None
) -> Iterator[Found]:
    """List every place that names an audience."""
    for name, service in identity.services.items():
        for position, audience in enumerate(service.audiences):
            yield ("identity", "services", name, "audiences", position), audience
    for position, door in enumerate(storage):
        yield ("storage", position, "audience"), door.audience
    for position, kind in enumerate(compute.types if compute else ()):
        if kind.token is not None:
            yield ("compute", "types", position, "token", "audience"), kind.token.audience


def _repeated(section: tuple[str, ...], names: list[str]) -> Iterator[Found]:
    """Find names that stand twice in a list."""
    for position, name in enumerate(names):
        if name in names[:position]:
            yield (*section, position, "name"), f"the name {name!r} stands twice"
