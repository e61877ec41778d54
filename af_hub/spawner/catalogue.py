"""Which profiles a user may see. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from af_hub.iam.groups import matches_any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from af_hub.facility.profiles import Profile


def visible(profiles: Sequence[Profile], groups: Collection[str]) -> tuple[Profile, ...]:
    """Select the profiles that a member of these groups may see and start.

    Parameters
    ----------
    profiles
        The catalogue, in the order of the facility file.
    groups
        The user's groups in canonical form (``/cms/uscms``).

    Returns
    -------
    tuple of Profile
        In the same order; possibly empty, and then nothing can be started.
    """
    return tuple(profile for profile in profiles if _may_use(profile, groups))


def first_choice(offered: Sequence[Profile]) -> Profile | None:
    """Pick what is chosen at first: the default profile, else the first; None of nothing."""
    return next((profile for profile in offered if profile.default), next(iter(offered), None))


def _may_use(profile: Profile, groups: Collection[str]) -> bool:
    if matches_any(groups, profile.denied_groups):
        return False
    return not profile.allowed_groups or matches_any(groups, profile.allowed_groups)
