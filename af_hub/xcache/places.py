"""Where an XCache's files and ports are: all that differs from deployment to deployment. Pure."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from af_hub.errors import ConfigError
from af_hub.xcache.versions import generation_of, parse_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from af_hub.facility import FacilityConfig
    from af_hub.xcache.versions import Generation

# XRootD's configuration splits at spaces, knows no quoting and replaces $names
_PATH: Final = re.compile(r"/[A-Za-z0-9/._+-]{1,250}")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


OUTAGES: Final[Mapping[str, str]] = {
    "XRD_CONNECTIONWINDOW": "3",
    "XRD_CONNECTIONRETRY": "2",
    "XRD_STREAMERRORWINDOW": "10",
}
"""How the cache bears an origin that does not answer, in seconds: how long one attempt lasts at
least, how many there are, and how long an origin that was given up is not asked again. The last
must be longer than the attempts together, or the cache never gives up. Upstream's 120 s, 5 times
and 1800 s let readers hang for ten minutes, and then keep the origin away for half an hour."""


@dataclass(frozen=True, slots=True)
class Places:
    """Paths and ports of one XCache.

    Parameters
    ----------
    admin
        Folder for sockets and process ids, short (a UNIX socket's path ends at 107 characters)
        and writable.
    data
        Folder of the cached blocks.
    meta
        Folder of what is known about them.
    root
        Folder of the links by which files keep their names.
    certificate
        Host certificate (PEM, world-readable).
    key
        Its key, readable by XRootD alone.
    certificates
        Folder of hashed authorities, for the origin's certificate.
    proxy
        Proxy or certificate with key in one file: who the cache is at the origin.
    key_cache
        Writable folder where scitokens keeps the issuer's keys.
    scitokens
        Where ``scitokens.cfg`` will be.
    authdb
        Where ``authdb`` will be.
    port
        Port for ``root://``.
    https_port
        Port for https; None opens none.
    origin
        ``HOST:PORT`` or ``roots://HOST:PORT`` of the origin.
    generation
        Form of the configuration, by the installed version (`versions.generation_of`).

    Raises
    ------
    ConfigError
        ``xcache-path`` if a path, host or port cannot stand in XRootD's configuration.
    """

    admin: PurePosixPath
    data: PurePosixPath
    meta: PurePosixPath
    root: PurePosixPath
    certificate: PurePosixPath
    key: PurePosixPath
    certificates: PurePosixPath
    proxy: PurePosixPath
    key_cache: PurePosixPath
    scitokens: PurePosixPath
    authdb: PurePosixPath
    port: int
    https_port: int | None
    origin: str
    generation: Generation = "6"

    def __post_init__(self) -> None:
        """Refuse what would be read as something else."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, PurePosixPath) and not _PATH.fullmatch(str(value)):
                raise ConfigError(
                    "xcache-path",
                    f"XRootD's configuration cannot hold the path {str(value)!r}: use an absolute "
                    "one of letters, digits and . _ + - only.",
                )
        ports = [self.port] if self.https_port is None else [self.port, self.https_port]
        host, _colon, port = self.origin.removeprefix("roots://").rpartition(":")
        numbers = [*map(str, ports), port]
        if not _HOST.fullmatch(host) or not all(map(_is_port, numbers)):
            raise ConfigError(
                "xcache-address", f"{self.origin!r} or {ports} are no addresses for an XCache."
            )

    def environment(self) -> Mapping[str, str]:
        """Give the environment variables that XRootD needs beside its configuration."""
        return {
            "X509_CERT_DIR": str(self.certificates),
            "X509_USER_PROXY": str(self.proxy),
            # scitokens keeps an SQLite file of keys here; the home folder may not be writable
            "XDG_CACHE_HOME": str(self.key_cache),
            **OUTAGES,
        }


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and 0 < int(text) < 65536


def production_places(facility: FacilityConfig) -> Places:
    """Return the places of the XCache image, and of a host that follows it.

    Parameters
    ----------
    facility
        Its doors and its section ``xcache`` say the ports, the origin and the version.

    Raises
    ------
    ConfigError
        ``no-xcache`` if the facility file has no such section.
    """
    xcache = facility.require_xcache()
    configuration, state = PurePosixPath("/etc/xrootd"), PurePosixPath("/var/cache/xcache")
    run = PurePosixPath("/run/xrootd")
    https, origin = xcache.https_address, xcache.origin_address
    return Places(
        admin=run / "admin",
        data=state / "data",
        meta=state / "meta",
        root=state / "names",
        certificate=run / "tls.crt",
        key=run / "tls.key",
        certificates=PurePosixPath("/etc/grid-security/certificates"),
        proxy=PurePosixPath("/run/xcache-proxy/proxy.pem"),
        key_cache=PurePosixPath("/var/cache/scitokens"),
        scitokens=configuration / "scitokens.cfg",
        authdb=configuration / "authdb",
        port=facility.doors_of_the_cache()[0].address.port,
        https_port=None if https is None else https.port,
        origin=f"{'roots://' if origin.scheme == 'roots' else ''}{origin.host}:{origin.port}",
        generation=generation_of(parse_version(xcache.xrootd)),
    )
