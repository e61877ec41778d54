"""What a user asks for, read strictly from the form, the query and REST. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from af_hub.errors import Refusal
from af_hub.quantities import parse_bytes
from af_hub.spawner.reasons import Reason

KEYS = ("profile", "cpu", "ram", "gpu")
"""Keys of ``user_options``; any other key is refused."""

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,38}[a-z0-9]", re.ASCII)
_FIELD = re.compile(r"([a-z][a-z0-9-]{0,38}[a-z0-9])\.(cpu|ram|gpu)", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)
_SIZE = re.compile(r"[0-9]{1,16}[KMGT]?", re.ASCII)
_MOST_FIELDS = 1000


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
    """

    profile: str | None = None
    cpu: int | None = None
    ram: int | None = None
    gpu: int | None = None


def read_options(raw: object) -> Options:
    """Read ``user_options`` as REST (POST or PATCH) or the hub's database holds them.

    Parameters
    ----------
    raw
        ``{"profile": "small", "cpu": 2, "ram": "4G", "gpu": 0}``; each key may be left out.

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
    )


def options_from_fields(fields: Mapping[str, list[str]]) -> dict[str, str | int]:
    """Read the fields of the spawn page into ``user_options``.

    The page carries ``profile`` and, for each card, ``<profile>.cpu`` and so on; those of the
    chosen card count.

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
    chosen: dict[str, str | int] = {} if profile is None else {"profile": profile}
    for name, values in fields.items():
        if name == "profile":
            continue
        match = _FIELD.fullmatch(name)
        if match is None:
            raise _wrong(f"Unknown field {_shown(name)}")
        if match[1] == profile and (text := _only(name, values)) is not None:
            chosen[match[2]] = _from_text(match[2], text)
    return chosen


def options_from_query(query: Mapping[str, list[str]]) -> dict[str, str | int]:
    """Read ``/hub/spawn?opt-profile=gpu&opt-cpu=2`` (without the ``opt-``) into ``user_options``.

    Raises
    ------
    Refusal
        ``invalid-options`` as `options_from_fields`.
    """
    chosen: dict[str, str | int] = {}
    for key, values in query.items():
        # JupyterHub 5 passes the prefix on
        name = key.removeprefix("opt-")
        if name not in KEYS or name in chosen:
            raise _wrong(f"Unknown option {_shown(name)}; known: {', '.join(KEYS)}")
        if (text := _only(name, values)) is not None:
            chosen[name] = _from_text(name, text)
    return chosen


def _from_text(key: str, text: str) -> str | int:
    """Read the text of one option."""
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


def _wrong(message: str) -> Refusal:
    return Refusal(Reason.INVALID_OPTIONS, f"{message}.", status=400)


def _shown(value: object) -> str:
    """Quote a foreign value for a message: shortened, without control characters."""
    return ascii(value)[:60]
