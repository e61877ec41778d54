"""What the extension adds to a Lab's start."""

from __future__ import annotations

import json
import os
import subprocess
import sys

MEASURE = """
import json, sys, time
start = time.process_time()
import jupyter_server.serverapp, jupyter_server.extension.application
import tornado.simple_httpclient  # Jupyter Server's gateway and kernel code load it as well
before = set(sys.modules)
began = time.process_time()
import af_labextension
af_labextension._jupyter_server_extension_points()
ours, whole = time.process_time() - began, began - start
print(json.dumps([ours, whole, sorted(set(sys.modules) - before)]))
"""

HEAVY = {"uproot", "dask", "distributed", "numpy", "requests", "aiohttp", "fsspec", "pydantic"}


def test_loading_stays_light() -> None:
    run = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=60, check=True
    )
    ours, whole, modules = json.loads(run.stdout)
    assert not HEAVY & {module.split(".")[0] for module in modules}
    # 0.05 s where Jupyter Server itself takes a second; in shares, for machines differ
    assert ours < 0.15 * whole


def test_a_kernel_pays_nothing_for_the_package() -> None:
    code = "import sys; before = set(sys.modules); import af_labextension; print(*set(sys.modules) - before)"
    # else it is there already
    environment = {**os.environ, "AF_READERS": "off"}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert {name for name in run.stdout.split() if name.startswith("af_")} == {"af_labextension"}
    assert "tornado" not in run.stdout
