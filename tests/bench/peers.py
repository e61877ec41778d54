"""Environments with other projects' extensions, beside which ours is measured."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from af_hub.embedded.layout import cache_folder

RUCIO = "rucio-jupyterlab==41.0.0"
DASK = "dask-labextension==7.0.0"


def peer_python(peer: str) -> Path:
    """Return the interpreter of an environment with JupyterLab and `peer`; made at the first call.

    Parameters
    ----------
    peer
        ``NAME==VERSION`` on PyPI.
    """
    folder = cache_folder() / "bench" / peer.replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / ".complete").exists():
        print(f"  installing {peer}", file=sys.stderr)
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(uv), "pip", "install", "--quiet", f"--python={python}", peer]
        subprocess.run([*install, "jupyterlab>=4.6.2,<5"], check=True)
        (folder / ".complete").write_text(time.strftime("%Y-%m-%d\n"))
    return python
