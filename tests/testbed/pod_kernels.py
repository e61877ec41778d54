"""Notebooks of a Lab in a pod: kernels that its server has started, and code that runs in them."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.kube_facility import PodFacility

PROGRAM = """
import sys
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_core.paths import jupyter_runtime_dir
kernel, wait, code = sys.argv[1:]
client = BlockingKernelClient(connection_file=f"{jupyter_runtime_dir()}/kernel-{kernel}.json")
client.load_connection_file()
client.start_channels()
client.wait_for_ready(timeout=60)
if wait == "wait":
    reply = client.execute_interactive(code, timeout=60, output_hook=lambda _: None)
    assert reply["content"]["status"] == "ok", reply["content"]
else:
    number = client.execute(code)
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") == number:
            break
client.stop_channels()
"""


@dataclass(frozen=True)
class PodKernels:
    """The kernels of one user's Lab.

    Parameters
    ----------
    facility
        Where it runs.
    user
        Whose it is.
    """

    facility: PodFacility
    user: str

    def ask(self, path: str, body: object = None) -> Any:
        """Ask the Lab's server, as an administrator's service."""
        request = urllib.request.Request(
            f"{self.facility.base_url}/user/{self.user}/{path}",
            None if body is None else json.dumps(body).encode(),
            {
                "Authorization": f"token {self.facility.tester}",
                "Content-Type": "application/json",
            },
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return json.load(answer)

    def notebook(self, path: str) -> str:
        """Open a notebook and return its kernel."""
        session = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
        return str(self.ask("api/sessions", session)["kernel"]["id"])

    def run(self, kernel: str, code: str) -> None:
        """Run code to its end."""
        self._in_pod(kernel, "wait", code)

    def begin(self, kernel: str, code: str) -> None:
        """Run code and do not wait."""
        self._in_pod(kernel, "begin", code)

    def _in_pod(self, *words: str) -> None:
        self.facility.in_lab(self.user, "python", "-c", PROGRAM, *words)
