"""The Lab's image with ROOT: `make image-lab-root` builds it, since it is large."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from testbed.images import build_image, inside
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.images import Inside

FILL = """
import ROOT
h = ROOT.TH1D("h", "h", 10, 0, 1)
h.Fill(0.5)
frame = ROOT.RDataFrame(100).Define("x", "rdfentry_ % 10")
print(ROOT.gROOT.GetVersion(), h.GetEntries(), frame.Mean("x").GetValue())
"""

KERNEL = """
import asyncio
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

async def ask():
    manager = AsyncKernelManager(kernel_name="analysis-facility-root")
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=120)
    answer = await client.execute_interactive("import ROOT; print(ROOT.gROOT.GetVersion())", timeout=120)
    client.stop_channels()
    await manager.shutdown_kernel(now=True)
    return answer["content"]["status"]

print(asyncio.run(ask()))
"""


@pytest.fixture(scope="module")
def box() -> Iterator[Inside]:
    require(
        "lab-root", os.environ.get("AF_LAB_ROOT"), "AF_LAB_ROOT=1 builds and tries a large image"
    )
    with inside(build_image("lab-root")) as container:
        yield container


def test_histogram_is_filled_when_root_is_imported(box: Inside) -> None:
    version, entries, mean = box.run("/opt/root/bin/python", "-c", FILL).split()[-3:]
    assert version.startswith("6.")
    assert (float(entries), float(mean)) == (1.0, 4.5)


def test_kernel_answers_when_the_labs_environment_starts_it(box: Inside) -> None:
    assert box.python(KERNEL).splitlines()[-1] == "ok"


def test_dask_is_the_labs_when_clusters_are_clicked(box: Inside) -> None:
    ask = "import dask, distributed, sys; print(dask.__version__, distributed.__version__, sys.version_info[:2])"
    assert box.run("/opt/root/bin/python", "-c", ask) == box.run("/opt/af/bin/python", "-c", ask)
    assert box.configuration["User"] == "1000:100"
