"""The Lab's image for GPUs, where there is none: `make image-lab-gpu` builds it, since it is large."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from testbed.images import build_image, inside
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.images import Inside

COMPILE = """
from cupy.cuda import nvrtc
program = nvrtc.createProgram("__global__ void f(int *x) { *x = 1; }", "f.cu", (), ())
nvrtc.compileProgram(program, ("--gpu-architecture=compute_80",))
print(nvrtc.getVersion()[0], ".visible .entry" in nvrtc.getPTX(program).decode())
"""

COUNT = """
import cupy
try:
    print(cupy.cuda.runtime.getDeviceCount())
except cupy.cuda.runtime.CUDARuntimeError as error:
    print("none:", error)
"""

VERSIONS = """
import dask, distributed, sys
print(dask.__version__, distributed.__version__, sys.version_info[:2])
"""

CUDA_CLUSTER = """
import dask_cuda
try:
    dask_cuda.LocalCUDACluster()
except Exception as error:
    print(type(error).__name__, error)
"""

ORDINARY_CLUSTER = """
import sys
from distributed import Client

def finders():
    return {type(each).__name__ for each in sys.meta_path} >= {"DaskFinder", "ImportWatch"}

with Client(n_workers=1, dashboard_address=None, host="127.0.0.1") as client:
    print(client.submit(finders).result(), client.submit(sum, [1, 2]).result())
"""


@pytest.fixture(scope="module")
def box() -> Iterator[Inside]:
    require("lab-gpu", os.environ.get("AF_LAB_GPU"), "AF_LAB_GPU=1 builds and tries a large image")
    with inside(build_image("lab-gpu")) as container:
        yield container


def test_kernels_are_compiled_when_there_is_no_gpu(box: Inside) -> None:
    """By the compiler and the headers in the image."""
    version, compiled = box.python(COMPILE).split()
    assert int(version) >= 13
    assert compiled == "True"


def test_absence_is_told_when_there_is_no_gpu(box: Inside) -> None:
    assert "none:" in box.python(COUNT) or box.python(COUNT) == "0"
    assert "NVIDIA_VISIBLE_DEVICES=void" in box.configuration["Env"]


def test_the_labs_packages_are_there(box: Inside) -> None:
    assert box.python("import uproot, af_labextension; print('ok')") == "ok"
    with inside(build_image("lab")) as lab:
        assert box.python(VERSIONS) == lab.python(VERSIONS)


def test_dask_cuda_comes_with_its_command_when_imported(box: Inside) -> None:
    """Its worker is how a GPU is put to work; its Dask is the Lab's."""
    assert box.python("import dask_cuda; print('ok')") == "ok"
    assert "--device-memory-limit" in box.run("dask", "cuda", "worker", "--help")


def test_cuda_cluster_says_why_when_there_is_no_gpu(box: Inside) -> None:
    assert box.python(CUDA_CLUSTER) == "NVMLError_LibraryNotFound NVML Shared Library Not Found"


def test_ordinary_cluster_computes_when_two_watch_its_imports(box: Inside) -> None:
    """RAPIDS' watch takes part in every import of Dask, with a GPU or without; ours is there, too."""
    assert box.python(ORDINARY_CLUSTER) == "True 3"
