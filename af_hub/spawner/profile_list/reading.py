"""KubeSpawner's own ``profile_list``, read as offers. Pure.

A list (or a dictionary, ordered by its keys) works unchanged, also with ``allowed_groups`` at
profiles, choices and ``unlisted_choice``. What is stricter than upstream: who may use nothing starts
nothing, all of an unlisted text must match, and it is never formatted.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slugify import slugify

from af_hub.iam.groups import check_pattern, matches_any
from af_hub.spawner.policy.offers import Offer, OfferedChoice, OfferedOption
from af_hub.spawner.policy.options import is_option_name, is_profile_name
from af_hub.spawner.profile_list.unlisted import Unlisted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from af_hub.facility.limits import Limit

_UNLISTED = "--unlisted-choice"

SETTINGS = ("cpu_limit", "mem_limit", "extra_resource_limits", "extra_resource_guarantees")
"""Traits of KubeSpawner that say how large a server is."""


@dataclass(frozen=True, slots=True)
class Member:
    """Who asks.

    Parameters
    ----------
    groups
        The user's groups, as the login or JupyterHub names them.
    counted
        Those that the facility's limits name.
    limits
        Limits that concern the user.
    """

    groups: Collection[str]
    counted: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()


def listed(profile_list: object, member: Member, settings: Mapping[str, Any]) -> tuple[Offer, ...]:
    """Read a ``profile_list``.

    Parameters
    ----------
    profile_list
        The trait's value, or what its function returned.
    member
        Who asks.
    settings
        ``cpu_limit``, ``mem_limit`` and so on of the spawner, for profiles that do not set them.

    Returns
    -------
    tuple of Offer
        In KubeSpawner's order; empty if nothing is open to the user.
    """
    return tuple(
        _offer(name, profile, member, settings)
        for name, profile in _profiles(profile_list)
        if _is_open(profile, member.groups)
    )


def translated(raw: object) -> object:
    """Read ``user_options`` in KubeSpawner's form as ours.

    Saved choices and scripts say ``{"profile": "demo", "image": "minimal"}`` and
    ``{"image--unlisted-choice": "a/b:1"}``.

    Parameters
    ----------
    raw
        Anything; what is in our form, or no object, comes back as it is.
    """
    if not isinstance(raw, dict) or "options" in raw:
        return raw
    options: dict[str, object] = {}
    for key, value in raw.items():
        if key == "profile" or not isinstance(key, str):
            continue
        name = key.removesuffix(_UNLISTED)
        # upstream, too, takes an empty text for none, and the text before the choice
        if value and (key != name or name not in options):
            options[_option_name(name)] = value
    profile = raw.get("profile")
    named = {"profile": _profile_name(profile)} if isinstance(profile, str) and profile else {}
    if "profile" in raw and not named and profile not in {None, ""}:
        named = {"profile": profile}
    return {**named, **({"options": options} if options else {})}


def _profiles(profile_list: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """List names and profiles; of two with one name the first counts, as upstream."""
    if isinstance(profile_list, dict):
        profile_list = [profile_list[key] for key in sorted(profile_list)]
    seen = set()
    for profile in profile_list if isinstance(profile_list, list | tuple) else ():
        slug = profile.get("slug") or slugify(str(profile.get("display_name", "")))
        name = _profile_name(str(slug))
        if name not in seen:
            seen.add(name)
            yield name, profile


def _offer(
    name: str, profile: Mapping[str, Any], member: Member, settings: Mapping[str, Any]
) -> Offer:
    """Read one profile."""
    options = (
        _option(key, option, member.groups)
        for key, option in (profile.get("profile_options") or {}).items()
    )
    return Offer(
        name=name,
        title=_plain(profile.get("display_name") or name),
        description=_plain(profile.get("description") or ""),
        default=bool(profile.get("default")),
        options=tuple(option for option in options if option is not None),
        groups=member.counted,
        limits=member.limits,
        overrides=profile.get("kubespawner_override") or {},
        settings=settings,
    )


def _option(key: str, option: Mapping[str, Any], groups: Collection[str]) -> OfferedOption | None:
    """Read one option; None if nothing of it is open to the user."""
    if not _is_open(option, groups):
        return None
    choices = {
        str(name): choice
        for name, choice in (option.get("choices") or {}).items()
        if _is_open(choice, groups)
    }
    unlisted = option.get("unlisted_choice") or {}
    own = _unlisted(unlisted) if unlisted.get("enabled") and _is_open(unlisted, groups) else None
    if not choices and own is None:
        return None
    default = next((name for name, each in choices.items() if each.get("default")), None)
    return OfferedOption(
        name=_option_name(key),
        title=_plain(option.get("display_name") or key),
        choices=tuple(_choice(name, choice) for name, choice in choices.items()),
        default=default or next(iter(choices), None),
        unlisted=own,
    )


def _choice(name: str, choice: Mapping[str, Any]) -> OfferedChoice:
    """Read one choice."""
    return OfferedChoice(
        name=name,
        title=_plain(choice.get("display_name") or name),
        description=_plain(choice.get("description") or ""),
        overrides=choice.get("kubespawner_override") or {},
    )


def _unlisted(unlisted: Mapping[str, Any]) -> Unlisted:
    """Read how a text of the user's own is checked."""
    pattern = unlisted.get("validation_regex") or None
    title = _plain(unlisted.get("display_name") or "Other")
    said = _plain(unlisted.get("validation_message") or "")
    fallback = f"must match {pattern}" if pattern else "holds characters that have a meaning"
    return Unlisted(
        title=title,
        pattern=pattern,
        message=said or f"{title}: the text {fallback}.",
        overrides=unlisted.get("kubespawner_override") or {},
    )


def _is_open(thing: Mapping[str, Any], groups: Collection[str]) -> bool:
    """Tell whether a member of these groups may see and choose something.

    As 2i2c's hubs have it: no ``allowed_groups`` lets everybody in, an empty list nobody. Other than
    there, upper and lower case differ.
    """
    if _named(thing.get("denied_groups") or (), groups):
        return False
    return "allowed_groups" not in thing or _named(thing["allowed_groups"] or (), groups)


def _named(names: Sequence[str] | str, groups: Collection[str]) -> bool:
    """Tell whether one of the groups is named, with or without its leading slash, or by pattern."""
    for name in (names,) if isinstance(names, str) else names:
        if name in groups or f"/{name}" in groups:
            return True
        try:
            pattern = check_pattern(name)
        except ValueError:
            continue
        if matches_any(groups, [pattern]):
            return True
    return False


def _profile_name(slug: str) -> str:
    """Keep a slug that a form field can carry; make one of any other."""
    return slug if is_profile_name(slug) else slugify(slug) or "profile"


def _option_name(key: str) -> str:
    """Keep a name that a form field can carry; make one of any other."""
    return key if is_option_name(key) else slugify(str(key)) or "option"


def _plain(text: object) -> str:
    """Take the text out of a piece of HTML: upstream's page shows it as markup, ours never does."""
    return html.unescape(re.sub(r"<[^<>]*>", "", str(text))).strip()
