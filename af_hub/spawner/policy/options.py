"""What a user asks for, read strictly from the form, the query and REST. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from af_hub.errors import Refusal
from af_hub.quantities import parse_bytes
from af_hub.spawner.policy.reasons import Reason

KEYS = ("profile", "cpu", "ram", "gpu", "image", "options")
"""Keys of ``user_options``; any other key is refused."""

_PROFILE = r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_SLUG = re.compile(_PROFILE, re.ASCII)
_OPTION = re.compile(_NAME, re.ASCII)
_FIELD = re.compile(rf"({_PROFILE})\.(cpu|ram|gpu|image|options\.({_NAME}))", re.ASCII)
_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,512}")
_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)
_SIZE = re.compile(r"[0-9]{1,16}[KMGT]?", re.ASCII)
_MOST_FIELDS = 1000
_MOST_OPTIONS = 50


@dataclass(frozen=True, slots=True)
class Options:
    """A request, right in form; whether it is granted is the policy's business.

    Parameters
    ----------
    profile
        Name of the profile; None asks for the default one.
    cpu
        Cores; None asks for the profile's default.
    ram
        Memory in bytes; None asks for the profile's default.
    gpu
        Number of devices; None asks for the profile's default.
    image
        Name of an image of the profile, or a reference; None asks for the profile's default.
    options
        Name of an option and the choice, as pairs; what is left out asks for the default.
    """

    profile: str | None = None
    cpu: int | None = None
    ram: int | None = None
    gpu: int | None = None
    image: str | None = None
    options: tuple[tuple[str, str], ...] = ()


def is_profile_name(text: str) -> bool:
    """Tell whether requests can name a profile so."""
    return _SLUG.fullmatch(text) is not None


def is_option_name(text: str) -> bool:
    """Tell whether requests can name an option so."""
    return _OPTION.fullmatch(text) is not None


def read_options(raw: object) -> Options:
    """Read ``user_options`` as REST (POST or PATCH) or the hub's database holds them.

    Parameters
    ----------
    raw
        ``{"profile": "small", "cpu": 2, "ram": "4G", "gpu": 0, "image": "root", "options":
        {"release": "new"}}``; each key may be left out.

    Returns
    -------
    Options
        The request.

    Raises
    ------
    Refusal
        ``invalid-options`` for another type, an unknown key or a value of the wrong form.
    """
    if raw is None:
        return Options()
    if not isinstance(raw, Mapping):
        raise _wrong("The options of a server are an object with the keys " + ", ".join(KEYS))
    for key in raw:
        if key not in KEYS:
            raise _wrong(f"Unknown option {_shown(key)}; known: {', '.join(KEYS)}")
    return Options(
        profile=_profile(raw.get("profile")),
        cpu=_count("cpu", raw.get("cpu")),
        ram=_size(raw.get("ram")),
        gpu=_count("gpu", raw.get("gpu")),
        image=_text("image", raw.get("image")),
        options=_choices(raw.get("options")),
    )


def options_from_fields(fields: Mapping[str, list[str]]) -> dict[str, Any]:
    """Read the fields of the spawn page into ``user_options``.

    The page carries ``profile`` and, for each card, ``<profile>.cpu``, ``<profile>.options.<name>``
    and so on; those of the chosen card count.

    Parameters
    ----------
    fields
        Field name to its values, as tornado gives them.

    Returns
    -------
    dict
        What `read_options` reads.

    Raises
    ------
    Refusal
        ``invalid-options`` for an unknown field, a repeated one or a value of the wrong form.
    """
    if len(fields) > _MOST_FIELDS:
        raise _wrong("The form has too many fields")
    profile = _profile(_only("profile", fields.get("profile")))
    chosen: dict[str, Any] = {} if profile is None else {"profile": profile}
    for name, values in fields.items():
        if name == "profile":
            continue
        match = _FIELD.fullmatch(name)
        if match is None:
            raise _wrong(f"Unknown field {_shown(name)}")
        if match[1] == profile:
            _put(chosen, match[2], _only(name, values))
    return chosen


def options_from_query(query: Mapping[str, list[str]]) -> dict[str, Any]:
    """Read ``/hub/spawn?opt-profile=gpu&opt-cpu=2`` (without the ``opt-``) into ``user_options``.

    Options are ``opt-options.<name>``.

    Raises
    ------
    Refusal
        ``invalid-options`` as `options_from_fields`.
    """
    chosen: dict[str, Any] = {}
    if len(query) > _MOST_FIELDS:
        raise _wrong("The address has too many options")
    seen = set()
    for key, values in query.items():
        # JupyterHub 5 passes the prefix on
        name = key.removeprefix("opt-")
        option = _OPTION.fullmatch(name.removeprefix("options."))
        known = name in KEYS[:-1] or (name.startswith("options.") and option is not None)
        if not known or name in seen:
            raise _wrong(f"Unknown option {_shown(name)}; known: {', '.join(KEYS)}")
        seen.add(name)
        _put(chosen, name, _only(name, values))
    return chosen


def _put(chosen: dict[str, Any], key: str, text: str | None) -> None:
    """Add the text of one option; the browser sends an empty one for a field left empty."""
    if text is None or (text == "" and key not in {"profile", "cpu", "ram", "gpu"}):
        return
    if key.startswith("options."):
        options = chosen.setdefault("options", {})
        options[key.removeprefix("options.")] = _text(key, text)
    elif key == "image":
        chosen[key] = _text(key, text)
    else:
        chosen[key] = _from_text(key, text)


def _from_text(key: str, text: str) -> str | int:
    """Read the text of a name or a number."""
    if key == "profile":
        name = _profile(text)
        return "" if name is None else name
    if key == "ram":
        size = _size(text)
        return 0 if size is None else size
    if not _NUMBER.fullmatch(text):
        raise _wrong(f"{key} is a whole number, not {_shown(text)}")
    return int(text)


def _only(name: str, values: list[str] | None) -> str | None:
    """Take the one value of a field; None if there is none."""
    if not values:
        return None
    if len(values) > 1 or not isinstance(values[0], str):
        raise _wrong(f"{_shown(name)} stands more than once")
    return values[0]


def _profile(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _SLUG.fullmatch(value):
        raise _wrong(f"{_shown(value)} is not the name of a profile")
    return value


def _count(key: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**6:
        raise _wrong(f"{key} is a whole number, not {_shown(value)}")
    return value


def _size(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and not _SIZE.fullmatch(value):
        raise _wrong(f"ram is a size such as 4G, not {_shown(value)}")
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _wrong(f"ram is a size such as 4G, not {_shown(value)}")
    try:
        return parse_bytes(value)
    except ValueError:
        raise _wrong(f"ram is a size such as 4G, not {_shown(value)}") from None


def _text(key: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _TEXT.fullmatch(value):
        raise _wrong(f"{_shown(value)} is no choice for {_shown(key)}")
    return value


def _choices(value: object) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping) or len(value) > _MOST_OPTIONS:
        raise _wrong("options is an object with the name of a choice for each option")
    chosen = []
    for name, choice in value.items():
        text = _text("options", choice)
        if not isinstance(name, str) or not _OPTION.fullmatch(name) or text is None:
            raise _wrong(f"{_shown(name)}: {_shown(choice)} is not the choice for an option")
        chosen.append((name, text))
    return tuple(sorted(chosen))


def _wrong(message: str) -> Refusal:
    return Refusal(Reason.INVALID_OPTIONS, f"{message}.", status=400)


def _shown(value: object) -> str:
    """Quote a foreign value for a message: shortened, without control characters.

    Of a list or an object only its kind: one that is nested deep enough breaks `ascii`.
    """
    if isinstance(value, str):
        return ascii(value[:60])[:60]
    if value is None or isinstance(value, bool | int | float):
        return ascii(value)[:60]
    return "an object" if isinstance(value, Mapping) else "a list"
