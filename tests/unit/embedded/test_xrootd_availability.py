"""Why XRootD does not run: one sentence, with a next step."""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.embedded.assembly import assemble, wire
from af_hub.embedded.layout import Layout
from af_hub.embedded.xrootd import availability
from af_hub.embedded.xrootd.availability import (
    doors_left_out,
    facility_problem,
    network_problem,
    programs_problem,
    xrootd_problem,
)
from testbed.iam import free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from af_hub.embedded.wiring import Wiring

SPEAKING = "#!/bin/sh\necho v5.5.3 >&2\n"
DUMB = "#!/bin/sh\nexit 127\n"


@pytest.fixture
def wiring(tmp_path: Path) -> Wiring:
    layout = Layout(tmp_path / "data")
    layout.create()
    return wire(layout, host="127.0.0.1", port=free_ports(1)[0])


def changed(wiring: Wiring, **sections: Any) -> Wiring:
    """Return a wiring with other sections in the facility file."""
    return dataclasses.replace(wiring, facility=wiring.facility.model_copy(update=sections))


def install(prefix: Path, program: str, plugins: tuple[str, ...]) -> str:
    """Make something like an installed xrootd and return the search path for it."""
    (prefix / "bin").mkdir(parents=True)
    path = prefix / "bin" / "xrootd"
    path.write_text(program)
    path.chmod(0o755)
    folder = prefix / "lib" / "x86_64-linux-gnu"
    folder.mkdir(parents=True)
    for name in plugins:
        (folder / f"lib{name}-5.so").touch()
    return os.pathsep.join((str(path.parent), "/usr/bin", "/bin"))


def test_package_is_named_when_the_program_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    problem = programs_problem()
    assert problem is not None
    assert problem.startswith("xrootd is missing")
    assert "apt install xrootd-server xrootd-server-plugins xrootd-scitokens-plugins" in problem


def test_plugin_is_named_when_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", install(tmp_path, SPEAKING, availability.PLUGINS[:-1]))
    problem = programs_problem()
    assert problem is not None
    assert problem.startswith("plug-ins of xrootd are missing: XrdAccSciTokens (")


@pytest.mark.parametrize(("program", "works"), [(SPEAKING, True), (DUMB, False)])
def test_program_is_named_when_it_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, works: bool
) -> None:
    monkeypatch.setenv("PATH", install(tmp_path, program, availability.PLUGINS))
    assert (programs_problem() is None) == works


def test_setting_is_named_when_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    # the trial itself is tested with the namespaces; here it fails because it cannot be started
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(availability, "SETTINGS", (("kernel.ostype", "Linux", "Minix"),))
    problem = network_problem()
    assert problem is not None
    assert problem.endswith("; an administrator can allow it: sysctl kernel.ostype=Minix")
    monkeypatch.setattr(availability, "SETTINGS", (("kernel.no_such_thing", "0", "1"),))
    assert "sysctl" not in (network_problem() or "")


def test_facility_file_is_named_when_it_has_no_cache_of_its_own(wiring: Wiring) -> None:
    assert facility_problem(wiring) is None
    for other in (
        changed(wiring, xcache=None),
        changed(wiring, storage=wiring.facility.storage[:1]),
    ):
        assert str(wiring.facility_file) in (facility_problem(other) or "")


def test_problem_is_told_when_the_inner_network_would_have_to_reach_another_machine(
    wiring: Wiring,
) -> None:
    facility = wiring.facility
    assert facility.xcache is not None
    far = facility.xcache.model_copy(update={"origin": "root://xrootd.example.org:1094"})
    assert "no origin" in (facility_problem(changed(wiring, xcache=far)) or "")
    foreign = facility.identity.model_copy(update={"issuer": "https://iam.example.org/"})
    assert "no identity provider" in (xrootd_problem(changed(wiring, identity=foreign)) or "")


def test_doors_are_left_out_only_when_their_cache_is_ours_and_does_not_run(wiring: Wiring) -> None:
    running = dataclasses.replace(wiring, xrootd_problem=None)
    stopped = dataclasses.replace(wiring, xrootd_problem="it is Sunday")
    assert doors_left_out(running) == ()
    assert doors_left_out(stopped) == ("cache",)
    assert doors_left_out(changed(stopped, xcache=None)) == ()


@pytest.mark.parametrize("problem", [None, "it is Sunday"])
def test_parts_are_those_that_can_run(wiring: Wiring, problem: str | None) -> None:
    if problem is None and wiring.xrootd_problem is not None:
        pytest.skip(wiring.xrootd_problem)
    names = {part.name for part in assemble(dataclasses.replace(wiring, xrootd_problem=problem))}
    assert {"iam", "storage", "hub"} <= names
    assert ({"network", "xrootd-origin", "xcache"} <= names) == (problem is None)
    assert names.isdisjoint({"network", "xcache"}) == (problem is not None)
