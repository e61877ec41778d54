"""Section ``xcache``: the cache in front of the experiment's XRootD federation."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from af_hub.facility.addresses import HOST, Address, parse_address
from af_hub.facility.base import Duration, Model, Size, Slug
from af_hub.iam.groups import check_pattern
from af_hub.xcache.versions import SAFE, caution, parse_version

ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"
"""Audience by which a token is for every service (WLCG profile, section "Audience")."""

_KIB = 1024
_GIB = 1024**3


def _origin(text: str) -> str:
    """Check the address of the origin: no path, and no IPv6 (``pss.origin`` splits at a colon)."""
    address = parse_address(text, ("root", "roots"))
    if address.path.strip("/") or address.host.startswith("["):
        raise ValueError("is not of the form root://HOST:PORT (a name or an IPv4 address, no path)")
    return text


def _https_door(text: str | None) -> str | None:
    """Check the address of the https door: no path, all exported paths are below it."""
    if text is not None and parse_address(text, ("https",)).path.strip("/"):
        raise ValueError("is not of the form https://HOST:PORT (no path)")
    return text


def _plain_path(text: str) -> str:
    if {".", ".."} & set(text.split("/")) or "//" in text:
        raise ValueError("has '.', '..' or an empty name in it")
    return text


def _exact_group(text: str) -> str:
    check_pattern(text)
    if "*" in text:
        raise ValueError("is a pattern: XRootD knows exact groups only, name each child group")
    return text


def _safe_version(text: str) -> str:
    if reason := caution(parse_version(text)):
        raise ValueError(f"use {SAFE}. {reason}")
    return text


LogicalPath = Annotated[
    str,
    StringConstraints(pattern=r"^/[A-Za-z0-9/._+-]*$", max_length=255),
    AfterValidator(_plain_path),
]
"""Path of files as the federation names them, such as ``/store/cms``."""

ServiceAudience = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9._~:/%@+-]+$", min_length=1, max_length=150)
]
"""An audience in a form that scitokens' configuration can hold."""

GroupPath = Annotated[
    str,
    AfterValidator(_exact_group),
    WithJsonSchema({"type": "string", "pattern": r"^(/[A-Za-z0-9][A-Za-z0-9_.-]*)+$"}),
]
"""One group exactly, such as ``/cms/uscms``."""


class WaterMarks(Model):
    """How full the cache's disk may become, as fractions of its file system."""

    low: Annotated[float, Field(ge=0.05, le=0.98)] = 0.90
    """Old files are removed down to this."""

    high: Annotated[float, Field(ge=0.06, le=0.99)] = 0.95
    """Removal begins here."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError("low must be below high")
        return self


class Monitoring(Model):
    """Where the cache sends its counters."""

    report: Annotated[str, StringConstraints(pattern=rf"^{HOST}:[0-9]{{1,5}}$")] = "127.0.0.1:9931"
    """UDP address, ``HOST:PORT``, of the exporter beside the cache."""

    every: Annotated[Duration, Field(ge=5, le=3600)] = 30.0
    """How often, in seconds or as ``30s``."""


class XCache(Model):
    """A read-only XCache: users' tokens in front, a service certificate behind.

    ``analysis-facility values --for xcache FILE`` writes its configuration, and the facility on
    one machine starts one from it.
    """

    origin: Annotated[
        str,
        AfterValidator(_origin),
        WithJsonSchema({"type": "string", "pattern": r"^roots?://[^\s/?#@:]+(:[0-9]+)?/*$"}),
    ]
    """Where the cache reads: a server or redirector of the federation, ``root://HOST:PORT``."""

    doors: Annotated[tuple[Slug, ...], Field(min_length=1, max_length=20)]
    """Names of the storage doors that lead to the cache: its port, its paths and the audiences it
    accepts are read from them."""

    https: Annotated[
        str | None,
        AfterValidator(_https_door),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "pattern": r"^https://[^\s/?#@]+/?$"},
                    {"type": "null"},
                ]
            }
        ),
    ] = None
    """Address of the https door; null opens none. Over https an XCache passes the caller's token on
    to the origin, in clear (all versions so far)."""

    extra_audiences: Annotated[tuple[ServiceAudience, ...], Field(max_length=20)] = ()
    """Audiences that are accepted beside those of the doors."""

    exports: Annotated[tuple[LogicalPath, ...], Field(max_length=50)] = ()
    """Paths that are served; empty: those of the doors."""

    groups: Annotated[
        dict[GroupPath, Annotated[tuple[LogicalPath, ...], Field(min_length=1, max_length=50)]],
        Field(max_length=500),
    ] = Field(default_factory=dict)
    """Paths that members of a group may read with a token that carries groups in place of paths.
    Empty: only tokens with paths are accepted. A child group does not imply its parent."""

    block_size: Annotated[Size, Field(ge=64 * _KIB, le=16 * _KIB * _KIB, multiple_of=4 * _KIB)] = (
        256 * _KIB
    )
    """Bytes that are fetched and kept at once, a multiple of ``4K``. Branches of ROOT files are
    read best with ``256K`` to ``1M``: larger blocks fetch what nobody reads."""

    ram: Annotated[Size, Field(ge=_GIB, le=256 * _GIB)] = _GIB
    """Memory for blocks on their way to the disk, ``1G`` to ``256G``; the process grows to it."""

    water_marks: WaterMarks = WaterMarks()
    """When old files are removed."""

    monitoring: Monitoring | None = None
    """Where the cache sends its counters; null: nowhere."""

    xrootd: Annotated[
        str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+){0,2}$"), AfterValidator(_safe_version)
    ] = "6.2"
    """Version of XRootD that the configuration is written for: 5.9.3, 6.0.1 or later. (On one
    machine whatever is installed is started, and its known faults are told.)"""

    @property
    def origin_address(self) -> Address:
        """`origin` in its parts."""
        return parse_address(self.origin, ("root", "roots"))

    @property
    def https_address(self) -> Address | None:
        """`https` in its parts."""
        return None if self.https is None else parse_address(self.https, ("https",))
