"""From a data folder and a facility file to the parts that have to run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from af_hub.embedded.files import write_atomically
from af_hub.embedded.gateway import gateway_part, gateway_proxy_part
from af_hub.embedded.hub import hub_part
from af_hub.embedded.iam.part import iam_part
from af_hub.embedded.instance import instance_id
from af_hub.embedded.pki import ensure_pki
from af_hub.embedded.ports import (
    choose_ports,
    keep_ports,
    move_addresses,
    move_public,
    read_host,
    read_ports,
)
from af_hub.embedded.proxy import proxy_part
from af_hub.embedded.rucio.part import own_rucio, rucio_part
from af_hub.embedded.secrets import create_secrets
from af_hub.embedded.storage.part import storage_part
from af_hub.embedded.wiring import HERE, LOOPBACK, Ports, Wiring
from af_hub.embedded.xrootd.availability import xrootd_problem
from af_hub.embedded.xrootd.clients import write_client_authorities
from af_hub.embedded.xrootd.grid_pki import GridFiles, ensure_grid_pki
from af_hub.embedded.xrootd.part import xrootd_parts
from af_hub.errors import SetupError
from af_hub.facility import FacilityConfig, load
from af_hub.facility.default import default_facility

if TYPE_CHECKING:
    from pathlib import Path

    from af_hub.embedded.layout import Layout
    from af_hub.embedded.parts import Part


def wire(layout: Layout, *, host: str, port: int, facility_file: Path | None = None) -> Wiring:
    """Prepare the data folder and return the wiring of its parts.

    Parameters
    ----------
    layout
        The data folder; its lock is held by the caller.
    host
        Address for the public port.
    port
        The public port.
    facility_file
        An administrator's own facility file; None for the one in the data folder, which is
        written at the first start.

    Raises
    ------
    ConfigError
        The facility file is wrong.
    SetupError
        A port that the file names is taken or does not fit.
    """
    create_secrets(layout)
    ensure_pki(layout)
    ports_file = layout.state / "ports.json"
    if facility_file is None:
        ports = choose_ports(ports_file, public=port)
        facility_file = layout.facility_file
        wiring_text = _own_text(facility_file, ports_file, ports, host)
        if wiring_text is not None:
            write_atomically(facility_file, wiring_text)
        facility = load(facility_file)
    else:
        facility = load(facility_file)
        _require_gateway_at(facility, host, port)
        ports = choose_ports(ports_file, public=port, fixed=_named_ports(facility))
    keep_ports(ports_file, ports, host)
    wiring = Wiring(
        layout=layout,
        ports=ports,
        host=host,
        instance=instance_id(layout),
        facility=facility,
        facility_file=facility_file.resolve(),
    )
    problem = xrootd_problem(wiring)
    if problem is None:
        ensure_grid_pki(GridFiles.of(layout))
    write_client_authorities(layout)
    return dataclasses.replace(wiring, xrootd_problem=problem)


def _own_text(path: Path, ports_file: Path, ports: Ports, host: str) -> str | None:
    """Return the new content of the data folder's own facility file, None to leave it."""
    if not path.exists():
        return default_facility(ports, host=host)
    text = path.read_text(encoding="utf-8")
    before = read_ports(ports_file)
    moved = move_addresses(text, before, ports)
    earlier = read_host(ports_file)
    # on loopback the port has moved already
    port = ports.public if earlier == LOOPBACK else before.get("public", ports.public)
    moved = move_public(moved, (earlier, port), (host, ports.public))
    return moved if moved != text else None


def _require_gateway_at(facility: FacilityConfig, host: str, public: int) -> None:
    """Check that an administrator's own file names the address that the proxy will have."""
    gateway = facility.compute.gateway
    wanted = None if gateway is None else _loopback_port(gateway.address)
    if wanted is None:
        return  # no Dask, or on another machine
    if wanted != public:
        raise SetupError(
            "port-mismatch",
            f"compute.gateway.address names port {wanted}, but users are to open port {public}. "
            f"Start with --port {wanted}, or correct the file.",
        )
    if host not in HERE:
        raise SetupError(
            "host-mismatch",
            f"compute.gateway.address names {LOOPBACK}, but the facility is to be at {host}. "
            "Leave --host away, or correct the file.",
        )


def _named_ports(facility: FacilityConfig) -> dict[str, int]:
    """Return the ports on this machine that an administrator's own file names."""
    gateway, xcache, rucio = facility.compute.gateway, facility.xcache, facility.rucio
    web = [door.url for door in facility.storage if not door.address.is_root]
    named = {
        "iam_https": _loopback_port(facility.identity.issuer),
        "storage": next((port for url in web if (port := _loopback_port(url))), None),
        "xcache": next((_loopback_port(each.url) for each in facility.doors_of_the_cache()), None),
        "xcache_https": _loopback_port(xcache.https) if xcache else None,
        "rucio": _loopback_port(rucio.url) if rucio else None,
        "gateway_proxy_tcp": _loopback_port(gateway.proxy_address) if gateway else None,
    }
    return {name: port for name, port in named.items() if port is not None}


def _loopback_port(url: str | None) -> int | None:
    parts = urlsplit(url or "")
    return parts.port if parts.hostname == LOOPBACK else None


def uses_development_iam(wiring: Wiring) -> bool:
    """Tell whether the facility's issuer is the development IAM of this data folder."""
    return wiring.facility.identity.issuer.rstrip("/") == wiring.issuer.rstrip("/")


def uses_own_storage(wiring: Wiring) -> bool:
    """Tell whether the facility file has a door to the storage server of this data folder."""
    return any(door.url.startswith(f"{wiring.storage_url}/") for door in wiring.facility.storage)


def assemble(wiring: Wiring) -> list[Part]:
    """Return the parts that this facility needs, their configuration written."""
    parts = [proxy_part(wiring)]
    if uses_development_iam(wiring):
        parts.append(iam_part(wiring))
    if uses_own_storage(wiring):
        parts.append(storage_part(wiring))
    parts += xrootd_parts(wiring)
    if (rucio := own_rucio(wiring)) is not None:
        parts.append(
            rucio_part(
                wiring, rucio, origin=wiring.xrootd_problem is None, filled=uses_own_storage(wiring)
            )
        )
    if wiring.facility.compute.gateway is not None:
        parts += [gateway_proxy_part(wiring), gateway_part(wiring)]
    return [*parts, hub_part(wiring)]
