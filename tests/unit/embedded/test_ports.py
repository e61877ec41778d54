"""Ports are kept, moved when taken, and moved in the facility file, too."""

from __future__ import annotations

import dataclasses
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_hub.embedded.ports import (
    choose_ports,
    keep_ports,
    move_addresses,
    move_public,
    read_host,
    read_ports,
)
from af_hub.embedded.wiring import Ports
from af_hub.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [field.name for field in dataclasses.fields(Ports)]


def test_ports_stay_when_they_are_free(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = choose_ports(path, public=8000)
    assert len(set(dataclasses.astuple(first))) == len(NAMES)
    keep_ports(path, first, "192.0.2.7")
    assert choose_ports(path, public=8000) == first


def test_one_port_moves_when_another_program_took_it(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = choose_ports(path, public=8000)
    keep_ports(path, first, "192.0.2.7")
    with socket.socket() as other:
        other.bind(("127.0.0.1", first.storage))
        other.listen()
        second = choose_ports(path, public=8000)
    assert second.storage != first.storage
    assert dataclasses.replace(second, storage=first.storage) == first


def test_named_port_is_refused_when_it_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SetupError, match=rf"Port {port} \(iam_https\)"):
            choose_ports(tmp_path / "ports.json", public=8000, fixed={"iam_https": port})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"hub": "x"}', '{"hub": 0, "storage": 70000}'])
def test_ports_are_chosen_anew_when_the_file_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "ports.json").write_text(text)
    assert read_ports(tmp_path / "ports.json") == {}


def test_addresses_follow_and_all_else_stays_when_ports_move() -> None:
    before = {"iam_https": 18001, "storage": 18002, "public": 8000}
    after = Ports(**dict.fromkeys(NAMES, 1) | {"iam_https": 18002, "storage": 18001, "public": 80})
    text = (
        "issuer: https://127.0.0.1:18001/   # mine: 18001\n"
        "storage: https://127.0.0.1:18002/store\n"
        "hub: http://127.0.0.1:8000/x\n"
        "other: http://127.0.0.1:180011 http://10.127.0.0.1:18001 http://example.org:18001\n"
    )
    assert move_addresses(text, before, after) == (
        "issuer: https://127.0.0.1:18002/   # mine: 18001\n"
        "storage: https://127.0.0.1:18001/store\n"
        "hub: http://127.0.0.1:80/x\n"
        "other: http://127.0.0.1:180011 http://10.127.0.0.1:18001 http://example.org:18001\n"
    )


@given(st.text(alphabet="127.0:/ 8#\n", max_size=60))
def test_nothing_changes_when_no_port_moves(text: str) -> None:
    ports = Ports(**{name: 8000 + number for number, name in enumerate(NAMES)})
    assert move_addresses(text, dataclasses.asdict(ports), ports) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("127.0.0.1", 8000), ("192.0.2.7", 8000)),
        (("192.0.2.7", 8000), ("127.0.0.1", 9000)),
        (("fd00::2", 8000), ("facility.example.org", 80)),
    ],
)
def test_the_gateway_follows_when_users_open_another_address(
    before: tuple[str, int], after: tuple[str, int]
) -> None:
    text = "address: http://{}/services/dask-gateway  # mine: http://127.0.0.1:8000/x\n"
    hosts = [
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in (before, after)
    ]
    assert move_public(text.format(hosts[0]), before, after) == text.format(hosts[1])
    other = text.format("gateway.example.org")
    assert move_public(other, before, after) == other


def test_the_host_of_the_last_start_is_known_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    assert read_host(path) == "127.0.0.1"
    ports = choose_ports(path, public=8000)
    keep_ports(path, ports, "192.0.2.7")
    assert read_host(path) == "192.0.2.7"
    assert read_ports(path) == dataclasses.asdict(ports)
    path.write_text('{"host": 7}')
    assert read_host(path) == "127.0.0.1"
