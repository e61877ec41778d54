"""The Dask gateway's image: the server, its Kubernetes backend, and our part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed.image_programs import GATEWAY

if TYPE_CHECKING:
    from testbed.images import Inside

IMAGE = "dask-gateway"

MODULES = (
    "dask_gateway_server.backends.kubernetes.backend",
    "dask_gateway_server.backends.kubernetes.controller",
    "dask_gateway_server.backends.db_base",
    "af_hub.compute.backend",
    "af_hub.compute.gateway",
    "af_hub.facility.load",
)


@pytest.mark.parametrize("module", MODULES)
def test_module_is_there_when_the_server_imports_it(opened: Inside, module: str) -> None:
    opened.python(f"import {module}")


def test_no_hub_comes_along_when_packages_are_listed(opened: Inside) -> None:
    names = {component["name"] for component in opened.bill()["components"]}
    assert not names & {"jupyterhub", "jupyterlab", "nodejs"}


def test_server_answers_when_started(opened: Inside) -> None:
    assert opened.python(GATEWAY).endswith("healthy")
