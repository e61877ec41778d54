"""Clusters of a whole facility, asked for as the Lab's panel asks for them."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psutil

from af_hub.facility import load
from testbed.dask_client import run_client
from testbed.facility import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed.facility import User


@dataclass
class Clusters:
    """The clusters of one user."""

    user: User

    @cached_property
    def token(self) -> str:
        """A hub token that the user made on the hub's token page."""
        answer = self.user.api("POST", f"users/{self.user.name}/tokens", b"{}")
        assert answer.status == 201, answer.text
        return str(answer.json["token"])

    @property
    def gateway(self) -> str:
        """Address of Dask Gateway as users have it."""
        return f"{self.user.facility.base_url}/services/dask-gateway"

    def ask(self, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        """Ask the gateway; return status and JSON."""
        url = f"{self.gateway}/api/v1/af/clusters{path}"
        return self._send(method, url, f"jupyterhub {self.token}", body)

    def ask_lab(self, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        """Ask the user's Lab; return status and JSON."""
        url = f"{self.user.facility.base_url}/user/{self.user.name}/af/clusters{path}"
        return self._send(method, url, f"token {self.token}", body)

    def _send(self, method: str, url: str, authorization: str, body: Any) -> tuple[int, Any]:
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        answer = self.user.browser.call(method, url, data, headers)
        try:
            return answer.status, json.loads(answer.text or "null")
        except ValueError:
            return answer.status, answer.text

    def make(self, *, workers: int = 1, memory: str = "600M", **options: Any) -> str:
        """Make a cluster in the Lab, wait for its workers and return its id."""
        options = {"worker_memory": memory, **options}
        scale = {"mode": "fixed", "workers": workers}
        body = {"type": "local", "options": options, "scale": scale}
        status, cluster = self.ask_lab("POST", body=body)
        assert status == 201, cluster
        self.wait(cluster["id"], lambda one: one["workers"] == workers)
        return str(cluster["id"])

    def wait(self, cluster: str, what: Callable[[Any], Any]) -> Any:
        """Wait until a cluster is as described; return it."""

        def look() -> Any:
            status, found = self.ask("GET", f"/{cluster}")
            return found if status == 200 and what(found) else None

        return wait_for(look, f"cluster {cluster}")

    def folder(self, cluster: str) -> Path:
        """Return where the files of a cluster lie."""
        return self.user.facility.layout.gateway / "clusters" / cluster

    def processes(self, cluster: str) -> list[psutil.Process]:
        """Return scheduler, workers and their nannies."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("DASK_GATEWAY_CLUSTER_NAME") == cluster:
                    found.append(process)
        return found

    def compute(self, cluster: str, *urls: str) -> dict[str, Any]:
        """Compute with a cluster, from another process."""
        layout = self.user.facility.layout
        gateway = load(layout.facility_file).compute.gateway
        assert gateway is not None
        environment = {
            "JUPYTERHUB_API_TOKEN": self.token,
            "DASK_GATEWAY__ADDRESS": gateway.address,
            "DASK_GATEWAY__PROXY_ADDRESS": gateway.proxy_address,
        }
        return run_client(environment, layout.root, cluster, 1, *urls)
