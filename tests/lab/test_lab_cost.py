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


def imported(code: str, readers: str) -> set[str]:
    """Return the modules that some code imports in a new Python."""
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; before = set(sys.modules); {code}; print(*set(sys.modules) - before)",
        ],
        env={**os.environ, "AF_READERS": readers},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(run.stdout.split()) - {"__future__"}


def test_a_kernel_pays_nothing_for_the_package() -> None:
    """The package is one small module; what prepares readers has been paid for at the start.

    That start has a promise of its own (``test_lab_readers_start``): three small modules, 5 ms.
    """
    assert imported("import af_labextension", "off") == {"af_labextension"}
    assert imported("import af_labextension", "on") == set()


def test_code_that_asks_for_a_token_pays_for_no_server() -> None:
    modules = imported("from af_labextension import token", "on")
    assert "af_labextension.code" in modules
    assert not modules & {"tornado", "jupyter_server", "traitlets", "nacl", "XRootD", *HEAVY}
