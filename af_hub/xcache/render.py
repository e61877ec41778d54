"""From the facility file to an XCache's configuration. Pure.

One text serves the facility on one machine and a production cache; what differs is in `Places`.
Each line's reason stands in ``docs/administrator/xcache.md``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from af_hub.errors import ConfigError
from af_hub.facility.addresses import components

if TYPE_CHECKING:
    from collections.abc import Mapping

    from af_hub.facility import FacilityConfig
    from af_hub.facility.xcache import XCache
    from af_hub.xcache.places import Places

MAIN: Final = "xrootd.cf"
"""Name of XRootD's own configuration."""

TOKENS: Final = "scitokens.cfg"
"""Name of the file that says whose tokens are accepted."""

GROUPS: Final = "authdb"
"""Name of the file that says what groups may read."""

_LONGEST: Final = {"5.5": 190, "6": 1000}
"""Longest line of scitokens.cfg, in bytes. Its parser (XRootD's copy of inih) reads 199 at a time,
1023 since 5.6.2 (xrootd#2074), and takes the rest for a line of its own; continued lines are not
understood."""

_HEAD: Final = (
    "# Written by `analysis-facility values --for xcache`; change the facility file instead.\n"
)

# whatever comes from outside is checked once more before it stands in a file without quoting
_WORD: Final = re.compile(r"[A-Za-z0-9._~:/%@+-]+")


@dataclass(frozen=True, slots=True)
class XCacheFiles:
    """The configuration of one XCache.

    Parameters
    ----------
    files
        Text by file name: ``xrootd.cf``, ``scitokens.cfg`` and ``authdb``. None is secret.
    """

    files: Mapping[str, str]


def render(facility: FacilityConfig, places: Places) -> XCacheFiles:
    """Write an XCache's configuration.

    Parameters
    ----------
    facility
        The facility; its section ``xcache`` is set.
    places
        Paths, ports and the generation of XRootD.

    Returns
    -------
    XCacheFiles
        Three texts that end in a newline.

    Raises
    ------
    ConfigError
        ``no-xcache`` if the facility file has no such section, ``xcache-value`` if a value
        cannot stand in XRootD's configuration.
    """
    xcache = facility.require_xcache()
    return XCacheFiles(
        {
            MAIN: _main(facility, xcache, places),
            TOKENS: _tokens(facility, xcache, places),
            GROUPS: _groups(xcache),
        }
    )


def audiences(facility: FacilityConfig) -> tuple[str, ...]:
    """List the audiences that the cache accepts: those of its doors, then the extra ones."""
    xcache = facility.require_xcache()
    of_doors = (
        facility.identity.audiences[door.audience].audience
        for door in facility.doors_of_the_cache()
    )
    return tuple(dict.fromkeys([*of_doors, *xcache.extra_audiences]))


def exports(facility: FacilityConfig) -> tuple[str, ...]:
    """List the paths that the cache serves; one below another is left out."""
    wanted = facility.require_xcache().exports or tuple(
        door.address.path for door in facility.doors_of_the_cache()
    )
    paths = sorted({components(path) for path in wanted})
    outer = [p for p in paths if not any(p != q and p[: len(q)] == q for q in paths)]
    return tuple("/" + "/".join(path) for path in outer)


def _word(text: str) -> str:
    """Let only plain words through."""
    if not _WORD.fullmatch(text):
        raise ConfigError(
            "xcache-value",
            f"{text[:80]!r} cannot stand in XRootD's configuration: plain words only.",
        )
    return text


def _main(facility: FacilityConfig, xcache: XCache, places: Places) -> str:
    """Write ``xrootd.cf``."""
    lines = [
        f"all.adminpath {places.admin}",
        f"all.pidpath {places.admin}",
        *(f"all.export {_word(path)} r/o" for path in exports(facility)),
        "",
        "# reads through to the origin, keeps blocks on disk",
        "ofs.osslib libXrdPss.so",
        f"pss.origin {places.origin}",
        "pss.cachelib libXrdPfc.so",
        f"oss.localroot {places.root}",
        f"oss.space data {places.data}",
        f"oss.space meta {places.meta}",
        "pfc.spaces data meta",
        f"pfc.blocksize {xcache.block_size // 1024}k",
        f"pfc.ram {xcache.ram // 1024**2}m",
        "pfc.prefetch 0",
        f"pfc.diskusage {xcache.water_marks.low:.3f} {xcache.water_marks.high:.3f} purgeinterval 300s",
        "",
        "# TLS: a token never crosses the network in clear",
        f"xrd.port {places.port}",
        "xrd.network nodnr",
        f"xrd.tls {places.certificate} {places.key}",
        # clients show tokens: without it, a port that is TLS from its first byte wants certificates
        "xrd.tlsca noverify",
        "xrootd.tls all",
        "",
        "# a token is the only way in",
        "xrootd.seclib libXrdSec.so",
        "sec.protocol ztn",
        "sec.protbind * only ztn",
        "ofs.authorize 1",
        *_authorisation(xcache, places),
        *_https(places),
        *_monitoring(xcache),
    ]
    return _HEAD + "\n".join(lines) + "\n"


def _authorisation(xcache: XCache, places: Places) -> list[str]:
    """Load the tokens' plug-in; behind it, for groups only, XRootD's own file."""
    if not xcache.groups:
        return [f"ofs.authlib libXrdAccSciTokens.so config={places.scitokens}"]
    return [
        f"ofs.authlib ++ libXrdAccSciTokens.so config={places.scitokens}",
        f"acc.authdb {places.authdb}",
        "acc.audit deny",
    ]


def _https(places: Places) -> list[str]:
    """Open the https door."""
    if places.https_port is None:
        return []
    return [
        "",
        "# https: the origin sees the caller's token",
        # with `tls`, or the port answers plain http, too (xrootd#1494)
        f"xrd.protocol tls XrdHttp:{places.https_port} libXrdHttp.so",
        "http.header2cgi Authorization authz",
        "http.desthttps yes",
    ]


def _monitoring(xcache: XCache) -> list[str]:
    """Send the counters to the exporter."""
    if xcache.monitoring is None:
        return []
    seconds = round(xcache.monitoring.every)
    target = _word(xcache.monitoring.report)
    return [
        "",
        f"xrd.report {target} every {seconds}s all",
        # hits and misses: the report has fields for them, which stay 0 (5.5.3 and 6.2)
        f"xrootd.mongstream pfc use flush {seconds}s send nohdr {target}",
    ]


def _tokens(facility: FacilityConfig, xcache: XCache, places: Places) -> str:
    """Write ``scitokens.cfg``."""
    accepted = ", ".join(_word(audience) for audience in audiences(facility))
    lines = [
        "[Global]",
        f"audience = {accepted}",
        f"onmissing = {'passthrough' if xcache.groups else 'deny'}",
        "",
        "[Issuer facility]",
        f"issuer = {_word(facility.identity.access_token_issuer or '')}",
        "base_path = /",
        "map_subject = false",
    ]
    if places.generation != "5.5":
        # without it, groups in a token widen what its paths narrow
        lines.append(f"authorization_strategy = capability{' group' if xcache.groups else ''}")
    text = _HEAD + "\n".join(lines) + "\n"
    limit = _LONGEST[places.generation]
    if too_long := [line for line in text.splitlines() if len(line) > limit]:
        raise ConfigError(
            "xcache-value",
            f"The line {too_long[0][:60]}… is longer than the {limit} characters that XRootD reads "
            "in scitokens.cfg: use fewer or shorter audiences.",
        )
    return text


def _groups(xcache: XCache) -> str:
    """Write ``authdb``."""
    lines = [
        f"g {_word(group)} " + " ".join(f"{_word(path)} rl" for path in paths)
        for group, paths in sorted(xcache.groups.items())
    ]
    return _HEAD + "".join(f"{line}\n" for line in lines)
