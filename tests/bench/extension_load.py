"""Start a JupyterLab that tells how much processor time each extension took, and ends."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from typing import Any

from jupyter_server.extension.manager import ExtensionManager
from jupyterlab.labapp import LabApp

spent: defaultdict[str, float] = defaultdict(float)


def watch(step: str) -> None:
    """Add up the processor time of one step (import, link, load) by extension."""
    original = getattr(ExtensionManager, step)

    def timed(self: Any, name: str, *arguments: Any, **options: Any) -> Any:
        begin = time.process_time()
        try:
            return original(self, name, *arguments, **options)
        finally:
            spent[name] += time.process_time() - begin

    setattr(ExtensionManager, step, timed)


if __name__ == "__main__":
    for name in ("add_extension", "link_extension", "load_extension"):
        watch(name)
    server = LabApp.initialize_server(sys.argv[1:])
    print(json.dumps(spent))
    server.stop()
