"""What lies where for the two servers: on the machine, and as they see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from af_hub.embedded.network.enter import Bind
from af_hub.embedded.xrootd.grid_pki import GridFiles
from af_hub.embedded.xrootd.server import MEMORY
from af_hub.xcache import Places

if TYPE_CHECKING:
    from collections.abc import Mapping

    from af_hub.embedded.layout import Layout
    from af_hub.xcache.versions import Generation

ADMIN = MEMORY / "admin"
GRID = GridFiles(MEMORY / "grid")
CONFIG = MEMORY / "config"
ROOT = MEMORY / "root"
CACHE = MEMORY / "cache"
TLS = MEMORY / "tls"

BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Ubuntu
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # Alma, Fedora
)
"""Where a system's authorities lie. scitokens-cpp looks there for the issuer's, and 0.7 (XRootD
5.5) nowhere else (scitokens-cpp#79), so the facility's bundle is shown there."""

HOSTS = Path("/etc/hosts")


@dataclass(frozen=True, slots=True)
class ServerFolders:
    """Folders of one server on the machine.

    Parameters
    ----------
    root
        Holds them.
    """

    root: Path

    @property
    def config(self) -> Path:
        """Configuration, written anew at each start."""
        return self.root / "config"

    @property
    def settings(self) -> Path:
        """What has to be prepared for the server, see `af_hub.embedded.xrootd.server`."""
        return self.root / "server.json"

    @property
    def keys(self) -> Path:
        """Where scitokens keeps issuers' keys: of one run only, the issuer's may change."""
        return self.root / "keys"

    @property
    def blocks(self) -> tuple[Path, ...]:
        """The cache's folders: blocks, what is known about them, and the files' names."""
        return tuple(self.root / name for name in ("data", "meta", "names"))


def origin_folders(layout: Layout) -> ServerFolders:
    """Return the origin's folders."""
    return ServerFolders(layout.xrootd / "origin")


def cache_folders(layout: Layout) -> ServerFolders:
    """Return the cache's folders."""
    return ServerFolders(layout.xrootd / "cache")


def common_binds(layout: Layout, folders: ServerFolders) -> tuple[Bind, ...]:
    """Return what both servers see: their configuration, the certificates, and no other machine.

    Parameters
    ----------
    layout
        Paths of the facility.
    folders
        The server's own.
    """
    return (
        Bind(folders.config, CONFIG, read_only=True),
        Bind(GridFiles.of(layout).folder, GRID.folder),
        *(Bind(hosts_file(layout), path, read_only=True) for path in (HOSTS,) if path.exists()),
    )


def issuer_binds(layout: Layout) -> tuple[Bind, ...]:
    """Return what lets a server believe the issuer's https."""
    return tuple(
        Bind(layout.ca_bundle, bundle, read_only=True) for bundle in BUNDLES if bundle.exists()
    )


def hosts_file(layout: Layout) -> Path:
    """Return the file by which the servers know the names of machines: there is one."""
    return layout.xrootd / "hosts"


def cache_places(
    *, port: int, https_port: int | None, origin: str, generation: Generation
) -> Places:
    """Return where the cache's configuration finds everything, see `af_hub.xcache.Places`."""
    return Places(
        admin=PurePosixPath(ADMIN),
        data=PurePosixPath(CACHE / "data"),
        meta=PurePosixPath(CACHE / "meta"),
        root=PurePosixPath(CACHE / "names"),
        certificate=PurePosixPath(TLS / "server.pem"),
        key=PurePosixPath(TLS / "server.key"),
        certificates=PurePosixPath(GRID.trusted),
        proxy=PurePosixPath(GRID.proxy),
        key_cache=PurePosixPath(CACHE / "keys"),
        scitokens=PurePosixPath(CONFIG / "scitokens.cfg"),
        authdb=PurePosixPath(CONFIG / "authdb"),
        port=port,
        https_port=https_port,
        origin=origin,
        generation=generation,
    )


def tls_binds(layout: Layout) -> tuple[Bind, ...]:
    """Return what the cache's doors need: the certificate of every https server here."""
    return (
        Bind(layout.server_certificate, TLS / "server.pem", read_only=True),
        Bind(layout.server_key, TLS / "server.key", read_only=True),
    )


def cache_environment() -> Mapping[str, str]:
    """Return the environment variables that the cache needs beside its configuration."""
    return cache_places(port=1, https_port=None, origin="localhost:1", generation="6").environment()
