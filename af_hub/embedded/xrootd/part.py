"""How a facility on one machine starts its XRootD origin and its XCache."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from af_hub.embedded.files import write_atomically
from af_hub.embedded.network.enter import Bind
from af_hub.embedded.network.holder import is_listening
from af_hub.embedded.network.part import holder_file, network_part
from af_hub.embedded.parts import Part
from af_hub.embedded.xrootd import places
from af_hub.embedded.xrootd.availability import installed_generation
from af_hub.embedded.xrootd.grid_pki import GridFiles, ensure_grid_pki
from af_hub.embedded.xrootd.handshake import speaks_xrootd
from af_hub.embedded.xrootd.origin import render_origin
from af_hub.embedded.xrootd.server import ServerConfig
from af_hub.xcache import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from af_hub.embedded.layout import Layout
    from af_hub.embedded.wiring import Wiring
    from af_hub.embedded.xrootd.places import ServerFolders
    from af_hub.facility import FacilityConfig
    from af_hub.xcache.versions import Generation

ORIGIN_HOST = "localhost"
"""How the cache calls the origin: the name in its certificate."""

COMMAND = ("xrootd", "-c", str(places.CONFIG / "xrootd.cf"))

STOP_TIMEOUT = 5.0
"""Seconds that a server has to end; what it keeps on disk survives a SIGKILL."""

HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


def xrootd_parts(wiring: Wiring) -> list[Part]:
    """Return network, origin and cache, their configuration written; none where they cannot run.

    Parameters
    ----------
    wiring
        The facility.
    """
    generation = installed_generation()
    if wiring.xrootd_problem is not None or generation is None:
        return []
    port, https_port = cache_ports(wiring.facility)
    return [
        network_part(
            wiring.layout,
            inward=(port,) if https_port is None else (port, https_port),
            outward=(wiring.ports.iam_https,),
        ),
        origin_part(wiring.layout, inner_origin_port(wiring.facility)),
        cache_part(wiring.layout, wiring.facility, generation),
    ]


def origin_part(layout: Layout, port: int) -> Part:
    """Write the origin's configuration and say how to start it.

    Parameters
    ----------
    layout
        Paths of the facility.
    port
        Where it listens in the inner network.
    """
    folders, holder = places.origin_folders(layout), holder_file(layout)
    ensure_grid_pki(GridFiles.of(layout))
    _write(layout, folders, render_origin(port))
    settings = ServerConfig(
        holder=holder,
        command=COMMAND,
        hidden=layout.root,
        binds=(
            *places.common_binds(layout, folders),
            # the kernel keeps it read-only, whatever the server is asked for, and nothing that
            # lies beside the store is there at all
            Bind(layout.store, places.ROOT / "store", read_only=True),
        ),
    )
    write_atomically(folders.settings, settings.model_dump_json(indent=1) + "\n")

    async def ready() -> bool:
        return is_listening(holder, port)

    return Part(
        name="xrootd-origin",
        title="XRootD origin",
        command=_start(folders),
        ready=ready,
        address=f"root://{ORIGIN_HOST}:{port} (inner network)",
        after=("network",),
        stop_timeout=STOP_TIMEOUT,
        optional=True,
    )


def cache_part(
    layout: Layout,
    facility: FacilityConfig,
    generation: Generation,
    *,
    origin_port: int | None = None,
) -> Part:
    """Write the cache's configuration and say how to start it.

    Parameters
    ----------
    layout
        Paths of the facility.
    facility
        Its file has a section ``xcache`` with doors on this machine.
    generation
        Form of the configuration, by the installed version.
    origin_port
        Where the cache finds the origin in the inner network; None: where the file says.

    Raises
    ------
    ConfigError
        ``no-xcache`` if there is no such section.
    """
    port, https_port = cache_ports(facility)
    folders, seen = places.cache_folders(layout), GridFiles.of(layout)
    rendered = render(
        facility,
        places.cache_places(
            port=port,
            https_port=https_port,
            origin=f"{ORIGIN_HOST}:{origin_port or inner_origin_port(facility)}",
            generation=generation,
        ),
    )
    ensure_grid_pki(seen)
    _write(layout, folders, rendered.files)
    for folder in folders.blocks:
        folder.mkdir(mode=0o700, exist_ok=True)
    settings = ServerConfig(
        holder=holder_file(layout),
        command=COMMAND,
        hidden=layout.root,
        binds=(
            *places.common_binds(layout, folders),
            *places.issuer_binds(layout),
            Bind(folders.root, places.CACHE),
            *places.tls_binds(layout),
        ),
        emptied=(folders.keys,),
        grid=places.GRID.folder,
    )
    write_atomically(folders.settings, settings.model_dump_json(indent=1) + "\n")
    return Part(
        name="xcache",
        title="XCache",
        command=_start(folders),
        environment=places.cache_environment(),
        ready=speaks_xrootd(port),
        address=f"root://127.0.0.1:{port}",
        # scitokens remembers an issuer that did not answer
        after=("iam", "network"),
        stop_timeout=STOP_TIMEOUT,
        optional=True,
    )


def cache_ports(facility: FacilityConfig) -> tuple[int, int | None]:
    """Return the cache's ports for ``root://`` and https, None for no https door.

    Raises
    ------
    ConfigError
        ``no-xcache`` if the facility file has no cache.
    """
    https = facility.require_xcache().https_address
    return facility.doors_of_the_cache()[0].address.port, None if https is None else https.port


def inner_origin_port(facility: FacilityConfig) -> int:
    """Return the port of the origin in the inner network.

    Raises
    ------
    ConfigError
        ``no-xcache`` if the facility file has no cache.
    """
    return facility.require_xcache().origin_address.port


def _write(layout: Layout, folders: ServerFolders, files: Mapping[str, str]) -> None:
    folders.config.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in files.items():
        write_atomically(folders.config / name, text)
    write_atomically(places.hosts_file(layout), HOSTS)


def _start(folders: ServerFolders) -> tuple[str, ...]:
    return sys.executable, "-m", "af_hub.embedded.xrootd", "--config", str(folders.settings)
