"""The Lab's image: what a physicist finds in it, and what the hub, clusters and storage need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from testbed.image_programs import LAB, TRUST

if TYPE_CHECKING:
    from testbed.images import Inside

IMAGE = "lab"

MODULES = (
    "awkward",
    "bokeh",
    "coffea.processor",
    "dask.dataframe",
    "dask_gateway",
    "distributed",
    "fsspec_xrootd",
    "hist",
    "matplotlib.pyplot",
    "pandas",
    "sklearn",
    "uproot",
    "XRootD.client",
    "classad2",
    "htcondor2",
    "rucio.client",
    "af_labextension",
    "af_hub.compute.token_preload",
)


@pytest.mark.parametrize("module", MODULES)
def test_module_is_there_when_a_notebook_imports_it(opened: Inside, module: str) -> None:
    opened.python(f"import {module}")


@pytest.mark.parametrize(
    ("command", "version"),
    [
        ("xrdcp --version", r"v?(5|6)\.\d+\.\d+"),
        ("xrdfs --help", r"xrdfs"),
        ("rucio --version", r"rucio 41\.\d+"),
        ("oidc-token --version", r"oidc-(agent|token) [45]\.\d+"),
        ("jupyter lab --version", r"4\.(6\.[2-9]|[7-9])"),
        ("jupyterhub-singleuser --version", r"6\.1"),
        ("dask --version", r"2026\."),
        ("dask-scheduler --version", r""),
        ("git --version", r"git version 2"),
    ],
)
def test_program_is_there_when_a_terminal_calls_it(
    opened: Inside, command: str, version: str
) -> None:
    done = opened.start(*command.split())
    assert re.search(version, done.stdout + done.stderr), done


def test_our_extension_is_enabled_when_the_lab_is_asked(opened: Inside) -> None:
    listing = opened.start("jupyter", "labextension", "list")
    listed = re.sub(r"\x1b\[\d+m", "", listing.stdout + listing.stderr)
    assert re.search(r"af-labextension v\S+ enabled OK", listed), listed
    servers = opened.start("jupyter", "server", "extension", "list")
    told = re.sub(r"\x1b\[\d+m", "", servers.stdout + servers.stderr)
    assert re.search(r"af_labextension enabled\n.*\n *af_labextension \S* ?OK", told), told
    # one Dask panel in the Lab, ours
    assert "dask-labextension" not in listed + told


def test_lab_answers_when_started_with_an_empty_home(opened: Inside) -> None:
    told = opened.python(LAB)
    print(told)
    assert told.endswith("fine")


@pytest.mark.parametrize("client", ["simple", "aiohttp", "requests"])
def test_clients_trust_one_file_when_they_are_told_nothing(opened: Inside, client: str) -> None:
    for word, expected in (("unknown", "refused"), ("known", "200")):
        told = opened.run("python", "-c", TRUST, client, word, user="0:0")
        assert told.splitlines()[-1] == expected, told


def test_sizes_are_known_when_the_image_is_built(opened: Inside) -> None:
    print(f"{opened.record.reference}: {opened.record.size / 1e6:.0f} MB")
    assert 0 < opened.record.size < 3e9
