"""Choosing the TCP ports of a facility, and keeping them from start to start.

Addresses with these ports stand in the facility file, in users' notebooks and in tokens, so a
port is kept as long as nobody else sits on it.
"""

from __future__ import annotations

import dataclasses
import json
import re
import secrets
import socket
from typing import TYPE_CHECKING

import psutil

from af_hub.embedded.files import write_atomically
from af_hub.embedded.wiring import LOOPBACK, Ports, in_url
from af_hub.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

INTERNAL = tuple(field.name for field in dataclasses.fields(Ports) if field.name != "public")
"""Names of the ports that are chosen here; the public one is the administrator's choice."""

RANGE = range(18000, 30000)
"""Below the ports that Linux gives to outgoing connections (32768 and up): one of those could
sit on a kept port at the next start, and the issuer's address would have to change."""

GATEWAY_PREFIX = "/services/dask-gateway"
"""What makes an address in the facility file the gateway's."""


def is_free(host: str, port: int) -> bool:
    """Tell whether a server could listen on `port` of `host` now.

    Raises
    ------
    SetupError
        ``host-unknown`` if this machine has no such address,
        ``port-not-allowed`` if the system reserves the port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # servers set it too: without it, connections in TIME_WAIT would count as taken
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as error:
            raise SetupError(
                "port-not-allowed",
                f"Port {port} is reserved for the system. Choose one above 1023 with --port.",
            ) from error
        except socket.gaierror as error:
            raise _unknown(host) from error
        except OSError as error:
            if error.errno == 99:  # EADDRNOTAVAIL
                raise _unknown(host) from error
            return False
    return True


def _unknown(host: str) -> SetupError:
    return SetupError("host-unknown", f"This machine has no address {host}. Leave --host away.")


def require_public_port(host: str, port: int) -> None:
    """Check the port that users open.

    Raises
    ------
    SetupError
        ``port-taken`` with the next step.
    """
    if not is_free(host, port):
        raise SetupError(
            "port-taken",
            f"Port {port} of {host} is taken by another program. "
            f"Choose another one: analysis-facility run --port {_suggestion(host, port)}",
        )


def own_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine that others may reach."""
    return [
        each.address
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family == socket.AF_INET and not each.address.startswith("127.")
    ]


def _suggestion(host: str, port: int) -> int:
    following = range(port + 1, min(port + 50, 65536))
    return next((number for number in following if is_free(host, number)), 0)


def choose_ports(path: Path, *, public: int, fixed: Mapping[str, int] | None = None) -> Ports:
    """Return the ports of a facility: kept ones where still free, else new ones.

    Parameters
    ----------
    path
        JSON file that keeps them.
    public
        The port that users open.
    fixed
        Ports that an administrator's own facility file names.

    Raises
    ------
    SetupError
        ``port-taken`` if another program sits on one of `fixed`.
    """
    kept = read_ports(path)
    chosen = {"public": public, **(fixed or {})}
    for name, number in (fixed or {}).items():
        if not is_free(LOOPBACK, number):
            raise SetupError(
                "port-taken",
                f"Port {number} ({name}), which the facility file names, is taken by another "
                "program. Choose another one in the file.",
            )
    for name in INTERNAL:
        if name in chosen:
            continue
        number = kept.get(name, 0)
        while number in {0, *chosen.values()} or not is_free(LOOPBACK, number):
            number = RANGE.start + secrets.randbelow(len(RANGE))
        chosen[name] = number
    return Ports(**chosen)


def read_ports(path: Path) -> dict[str, int]:
    """Return the ports of the last start by name; empty before the first one."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(stored, dict):
        return {}
    return {
        name: number
        for name, number in stored.items()
        if isinstance(number, int) and 0 < number < 65536
    }


def read_host(path: Path) -> str:
    """Return the host of the last start, loopback before the first one."""
    try:
        host = json.loads(path.read_text(encoding="utf-8"))["host"]
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return LOOPBACK
    return host if isinstance(host, str) else LOOPBACK


def keep_ports(path: Path, ports: Ports, host: str) -> None:
    """Write `ports` and `host` for the next start."""
    kept = {"host": host, **dataclasses.asdict(ports)}
    write_atomically(path, json.dumps(kept, indent=1) + "\n")


def move_addresses(text: str, before: dict[str, int], after: Ports) -> str:
    """Return a facility file's text with loopback addresses on the new ports.

    Only ``127.0.0.1:PORT`` with a port of the last start is changed, in one pass, so that ports
    may swap; everything that a person wrote stays, comments too.
    """
    moved = {
        number: getattr(after, name)
        for name, number in before.items()
        if getattr(after, name, number) != number
    }

    def new(match: re.Match[str]) -> str:
        number = int(match[1])
        return f"{LOOPBACK}:{moved.get(number, number)}"

    return re.sub(rf"(?<![\w.]){re.escape(LOOPBACK)}:([0-9]{{1,5}})(?![0-9])", new, text)


def move_public(text: str, before: tuple[str, int], after: tuple[str, int]) -> str:
    """Return a facility file's text with the gateway at the address that users open now.

    Parameters
    ----------
    text
        The file.
    before, after
        Host and public port, of the last start and of this one.
    """
    old, new = (f"http://{in_url(host)}:{port}{GATEWAY_PREFIX}" for host, port in (before, after))
    return text.replace(old, new)
