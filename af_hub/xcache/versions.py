"""Which versions of XRootD have which faults. Pure.

The list holds what matters for a cache that takes tokens. ``measured`` faults were reproduced
against the named version; the others are read in upstream's release notes and sources.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Version = tuple[int, int, int]
"""Major, minor, patch."""

Generation = Literal["5.5", "6"]
"""How the configuration is written: for XRootD before 5.7 with scitokens-cpp 0.7, or later."""

SAFE: Final = "5.9.3, 6.0.1 or later"
"""Versions without a known fault that lets somebody read, or learn, what they may not."""

_NEW_FORM: Final[Version] = (5, 7, 0)
"""First version that knows all that the newer form of the configuration uses."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of XRootD that users or administrators meet.

    Parameters
    ----------
    code
        Stable short name.
    sentence
        What happens, for an administrator; no full stop.
    fixed
        First version without it; None: still there in 6.2.
    since
        First version with it; None: all older ones have it.
    also_in
        Later versions that have it again: branched off before it was mended.
    security
        Whether it lets somebody read, or learn, what they may not; such a version is refused for
        a production cache.
    measured
        Whether it was reproduced (else: read in upstream's notes or sources).
    """

    code: str
    sentence: str
    fixed: Version | None
    since: Version | None = None
    also_in: tuple[Version, ...] = ()
    security: bool = False
    measured: bool = True

    def is_in(self, version: Version) -> bool:
        """Tell whether `version` has the fault."""
        begun = self.since is None or version >= self.since
        there = begun and (self.fixed is None or version < self.fixed)
        return there or version in self.also_in


FAULTS: Final = (
    Fault(
        code="path-prefix",
        sentence="a token for storage.read:/store/cm also opens /store/cms",
        fixed=(5, 6, 9),
        security=True,
    ),
    Fault(
        code="late-expiry",
        sentence="an expired token works for up to 60 s after its first use",
        fixed=(5, 9, 3),
        # 6.0.0 came out before 5.9.3; 6.0.1 has the same correction
        also_in=((6, 0, 0),),
        security=True,
    ),
    Fault(
        code="token-in-trace",
        sentence="with pfc, pss or http tracing on, whole tokens stand in the log",
        fixed=(5, 7, 2),
        security=True,
    ),
    Fault(
        code="https-leak",
        sentence="the token of an https client goes on to the origin in clear; root:// does not",
        fixed=None,
    ),
    Fault(
        code="https-outage",
        sentence="on a busy machine, an https read may get no answer for a minute or more while the origin is away",
        # where it was mended is not known; 6.2.0 was never seen to do it
        fixed=(6, 2, 0),
    ),
    Fault(
        code="slow-listing",
        sentence="a listing with sizes asks the origin once per entry",
        fixed=(5, 8, 2),
    ),
    Fault(
        code="cached-directory",
        sentence="stat and listing by PROPFIND fail for a directory below which a file is cached",
        fixed=None,
        since=(5, 7, 2),
    ),
    Fault(
        code="group-union",
        sentence="a token with paths and groups is judged by both unless the strategy is set",
        fixed=(5, 7, 0),
        security=True,
    ),
    Fault(
        code="group-widening",
        sentence="where groups are configured, those in a token widen what its paths narrow",
        fixed=None,
    ),
    Fault(
        code="scope-no-path",
        sentence="storage.read without a path opens everything; the WLCG profile refuses it",
        fixed=None,
    ),
    Fault(
        code="no-nbf",
        sentence="tokens without nbf are refused (scitokens-cpp 0.7)",
        fixed=(5, 7, 0),
    ),
    Fault(
        code="scope-claim",
        sentence="a token with groups and no scope claim is refused; WLCG profile: one is enough",
        fixed=None,
    ),
    Fault(
        code="newer-profile",
        sentence="wlcg.ver 1.3 is refused; WLCG profile: newer minor versions are accepted",
        fixed=None,
    ),
)
"""The known faults, the gravest first."""


def parse_version(text: str) -> Version:
    """Read a version such as ``v5.5.3`` or ``6.2.0-2``, as ``xrootd -v`` and packages write it.

    Raises
    ------
    ValueError
        If the text does not begin with a version.
    """
    found = re.match(r"v?([0-9]{1,4})(?:\.([0-9]{1,4}))?(?:\.([0-9]{1,4}))?", text.strip())
    if found is None:
        raise ValueError(f"{text[:40]!r} is not a version such as 6.2.0")
    major, minor, patch = (int(part or 0) for part in found.groups())
    return major, minor, patch


def faults_of(version: Version) -> tuple[Fault, ...]:
    """List the known faults of a version, the gravest first."""
    return tuple(fault for fault in FAULTS if fault.is_in(version))


def caution(version: Version) -> str:
    """Say in one line why a version is for trying only; empty if it may serve in production.

    Examples
    --------
    >>> caution((5, 8, 1))
    'XRootD 5.8.1 is for trying only: an expired token works for up to 60 s after its first use.'
    >>> caution((6, 2, 0))
    ''
    """
    found = [fault.sentence for fault in faults_of(version) if fault.security]
    name = ".".join(map(str, version))
    return f"XRootD {name} is for trying only: {'; '.join(found)}." if found else ""


def generation_of(version: Version) -> Generation:
    """Tell which form of configuration a version reads."""
    return "5.5" if version < _NEW_FORM else "6"
