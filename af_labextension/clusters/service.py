"""All clusters of the user as one: the gateway's, and those inside the user's server."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from af_labextension.errors import LabError, NotAnswering, Refused

from .manager.folder import ID
from .model import cut_logs, gateway_request, problem_of
from .pages import Pages, Target
from .snippets import client_code, lab_client_code

if TYPE_CHECKING:
    from af_labextension.hub import HubClient

    from .gateway import Gateway
    from .inlab import LabClusters

log = logging.getLogger(__name__)


class Clusters:
    """What the routes do.

    Parameters
    ----------
    gateway, hub
        None in a Lab without a hub.
    lab
        Clusters inside the user's server.
    """

    def __init__(self, gateway: Gateway | None, lab: LabClusters, hub: HubClient | None) -> None:
        self.gateway = gateway
        self.lab = lab
        self.own_pages = Pages()
        self._hub = hub

    # --- types ----------------------------------------------------------------

    async def types(self) -> dict[str, Any]:
        """Say which kinds of clusters the user may make.

        Returns
        -------
        dict
            ``{types, available, message, quotas}``; a type that cannot be made now says why.
        """
        types, quotas, message = await self._gateway_types()
        taken = {one["name"] for one in types}
        types += [one for one in await self.lab.types() if one["name"] not in taken]
        if types:
            message = None
        return {
            "types": types,
            "available": any(one["available"] for one in types),
            "message": message,
            "quotas": quotas,
        }

    async def _gateway_types(self) -> tuple[list[dict[str, Any]], list[Any], str | None]:
        if self.gateway is None or self._hub is None:
            return [], [], "This Lab has no hub, so there are no facility clusters."
        compute = (await self._hub.lab_config()).get("compute") or {}
        if not compute.get("gateway"):
            return [], [], "This facility has no Dask service."
        none = "No kind of Dask cluster is open to your groups."
        reason = None
        try:
            answer = await self.gateway.ask("GET", "/types")
            return list(answer["types"]), list(answer.get("quotas") or []), none
        except LabError as error:
            if error.status != 404:  # else an older gateway, which has no such route
                reason = error.message
        told = [one for one in compute.get("types") or [] if one.get("backend") != "in-lab"]
        return [_as_type(one, reason) for one in told], [], none

    # --- clusters -------------------------------------------------------------

    async def listed(self) -> dict[str, Any]:
        """Return ``{clusters, quotas, problem}``; what answers is listed, whatever does not."""
        clusters: list[dict[str, Any]] = []
        problem: LabError | None = None
        if self.gateway is not None:
            try:
                clusters = await self.gateway_clusters()
            except LabError as error:
                if error.code != "no-gateway":
                    problem = error
        return {
            "clusters": clusters + await self.lab.listed(),
            "quotas": [],
            "problem": problem_of(problem),
        }

    async def gateway_clusters(self) -> list[dict[str, Any]]:
        """Return the gateway's clusters.

        Raises
        ------
        LabError
            It does not answer, or refuses.
        """
        answer = await self._gateway().ask("GET", "/clusters")
        return [of_gateway(one) for one in answer["clusters"]]

    async def make(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Make a cluster of ``{type, options, scale}``; it is pending.

        Raises
        ------
        LabError
            The request cannot be meant, or is refused.
        """
        request = gateway_request(asked)
        name = request["options"]["type"]
        if name not in await self._gateway_names():
            kind = await self.lab.kind(name)
            if kind is not None:
                return await self.lab.make(kind, asked.get("options", {}), request["scale"])
            if self.gateway is None:
                raise Refused(
                    "unknown-type", f"type: {ascii(name)[:40]} is not offered here.", status=422
                )
        return await self._ask("POST", "/clusters", request)

    async def _gateway_names(self) -> set[str]:
        """Return the names of types that belong to the gateway."""
        if self._hub is None:
            return set()
        try:
            compute = (await self._hub.lab_config()).get("compute") or {}
        except NotAnswering:
            return set()
        return {
            str(one.get("name"))
            for one in compute.get("types") or []
            if one.get("backend") != "in-lab"
        }

    async def find(self, cluster: str) -> dict[str, Any]:
        """Return one cluster; raises `LabError`."""
        if ID.fullmatch(cluster):
            listed = await self.lab.listed()
            for one in listed:
                if one["id"] == cluster:
                    return one
            raise Refused("no-cluster", "There is no such cluster.", status=404)
        return await self._ask("GET", f"/clusters/{cluster}")

    async def scale(self, cluster: str, scale: Any) -> dict[str, Any]:
        """Change the number of workers; raises `LabError`."""
        if ID.fullmatch(cluster):
            return await self.lab.scale(cluster, scale)
        return await self._ask("PATCH", f"/clusters/{cluster}", {"scale": scale})

    async def close(self, cluster: str) -> None:
        """Shut one down; raises `LabError`."""
        if ID.fullmatch(cluster):
            await self.lab.close(cluster)
        else:
            await self._gateway().ask("DELETE", f"/clusters/{cluster}")

    async def logs(self, cluster: str, lines: int) -> dict[str, Any]:
        """Return ``{"logs": [{name, text, truncated}]}`` with the last lines; raises `LabError`."""
        if ID.fullmatch(cluster):
            return {"logs": cut_logs(await self.lab.logs(cluster), lines)}
        answer = await self._gateway().ask("GET", f"/clusters/{cluster}/logs?lines={lines}")
        return {"logs": answer["logs"]}

    async def code(self, cluster: str) -> str:
        """Return Python code that connects to one; raises `LabError`."""
        found = await self.find(cluster)
        title = f"{found['title']}, {found['name']}"
        return (lab_client_code if ID.fullmatch(cluster) else client_code)(cluster, title)

    async def dashboard(self, cluster: str) -> tuple[Pages, Target]:
        """Return what fetches the pages of a cluster's scheduler, and where; raises `LabError`."""
        if not ID.fullmatch(cluster):
            gateway = self._gateway()
            return gateway.pages, await gateway.dashboard(cluster)
        state = await self.lab.find(cluster)
        private = state["private"]
        url, token = str(private.get("dashboard") or ""), private.get("dashboard_token")
        if not url.startswith(("http://", "https://")):
            raise Refused("no-dashboard", "This cluster has no dashboard.", status=404)
        return self.own_pages, Target(url, {"Authorization": f"token {token}"} if token else {})

    def _gateway(self) -> Gateway:
        if self.gateway is None:
            raise Refused("no-gateway", "This Lab has no Dask service.", status=404)
        return self.gateway

    async def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return of_gateway(await self._gateway().ask(method, path, body))

    async def stop(self) -> None:
        """Close the connections; the clusters go on."""
        self.own_pages.close()
        await self.lab.close_connections()
        if self.gateway is not None:
            self.gateway.close()


def of_gateway(one: dict[str, Any]) -> dict[str, Any]:
    """Return one of the gateway's clusters as the browser sees it."""
    return {**one, "backend": "gateway"}


def _as_type(one: dict[str, Any], reason: str | None) -> dict[str, Any]:
    """Return a type of the hub's description as the gateway would have told it."""
    return {
        "name": one.get("name"),
        "title": one.get("title"),
        "site": one.get("site") or "",
        "description": one.get("description") or "",
        "backend": one.get("backend"),
        "options": one.get("options"),
        "available": reason is None,
        "reason": reason,
    }
