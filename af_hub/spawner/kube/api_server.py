"""The cluster's API server as a spawner sees it: away for a while, saying no, or watched."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kubespawner.spawner import EventReflector, PodReflector
from traitlets import Float
from traitlets.config import LoggingConfigurable

from af_hub.errors import Refusal
from af_hub.spawner.kube.events import EventBook
from af_hub.spawner.kube.follow import Follower, object_key
from af_hub.spawner.policy.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubernetes_asyncio.client import ApiException

    from af_hub.spawner.kube.follow import Copy


def away_refusal() -> Refusal:
    """Return what a user is told while the API server does not answer."""
    message = "The cluster does not answer at the moment. Try again in a minute."
    return Refusal(Reason.CLUSTER_AWAY, message, status=503)


def no_refusal(error: ApiException) -> Refusal:
    """Return what a user is told when the cluster does not admit the pod or the volume."""
    try:
        said = str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        said = str(error.reason)
    message = f"The cluster refused to start the server: {said[:500]}"
    return Refusal(Reason.CLUSTER_REFUSED, message, status=403)


def taken_refusal(pod_name: str) -> Refusal:
    """Return what a user is told whose pod would be called as that of somebody else."""
    message = (
        f"Another user's server is called {pod_name} in the cluster, as yours would be. "
        "Please tell the facility's support."
    )
    return Refusal(Reason.CLUSTER_REFUSED, message, status=403)


def lost_refusal(pod: Any) -> Refusal:
    """Return what a user is told when the pod ends before the Lab is up."""
    status = (pod or {}).get("status", {})
    why = status.get("message") or status.get("reason") or "it was deleted"
    message = f"The cluster ended the server while it started: {str(why)[:300]}. Start it again."
    return Refusal(Reason.POD_LOST, message, status=503)


class _Lasting(LoggingConfigurable):
    """Mixin for reflectors: be right again soon after the API server is."""

    # what it uses of KubeSpawner's reflector, which is untyped
    api: Any
    field_selector: Any
    first_load_future: Any
    kind: Any
    label_selector: Any
    list_method_name: Any
    namespace: Any
    omit_namespace: Any
    _stopping: Any

    retry_after = Float(1.0, help="Seconds between two questions to a server that does not answer.")

    _only_new = False
    _follower: Follower | None = None

    def _copy(self) -> Copy:
        """Give what keeps the objects."""
        raise NotImplementedError

    async def _list_and_update(self, _resource_version: str | None = None) -> None:
        """Read everything; ask again until the server answers.

        Raises
        ------
        ApiException
            At the first time only: the hub may not read this. JupyterHub would then end the Labs
            that it finds, so a server that has just started, and knows no roles yet, is asked again.
        """
        await self._following().read()
        if not self.first_load_future.done():
            self.first_load_future.set_result(None)

    async def _watch_and_update(self) -> None:
        """Take every change until the reflector is stopped, which awaits the task it has cancelled."""
        try:
            await self._following().follow()
        except asyncio.CancelledError:
            if not self._stopping:
                raise

    def _following(self) -> Follower:
        if self._follower is None:
            where = {} if self.omit_namespace else {"namespace": self.namespace}
            request = partial(
                getattr(self.api, self.list_method_name),
                label_selector=self.label_selector,
                field_selector=self.field_selector,
                **where,
            )
            self._follower = Follower(
                request,
                self._copy(),
                log=self.log,
                what=self.kind,
                only_new=self._only_new,
                retry_after=self.retry_after,
                bears_a_no=True,
            )
            self._follower.read_before = self.first_load_future.done()
        return self._follower


class LastingPodReflector(_Lasting, PodReflector):  # type: ignore[misc]  # untyped upstream
    """Pods, as the API server last told."""

    def _copy(self) -> Copy:
        return _Resources(self)


class LastingEventReflector(_Lasting, EventReflector):  # type: ignore[misc]  # untyped upstream
    """Events of those pods that somebody waits for, from now on.

    KubeSpawner's keeps every event of the namespace and sorts them all for each page that shows a
    start, once a second (kubespawner#913, open).
    """

    _only_new = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.book = EventBook()

    def _copy(self) -> Copy:
        return self.book


class _Resources:
    """Keeps a reflector's objects where KubeSpawner looks for them."""

    def __init__(self, reflector: Any) -> None:
        self._reflector = reflector

    def replace(self, objects: Iterable[dict[str, Any]]) -> None:
        """Take all objects as they are now."""
        self._reflector.resources = {object_key(one): _lean(one) for one in objects}

    def put(self, one: dict[str, Any]) -> None:
        """Take an object that is new or has changed."""
        self._reflector.resources[object_key(one)] = _lean(one)

    def remove(self, one: dict[str, Any]) -> None:
        """Forget an object that is gone."""
        self._reflector.resources.pop(object_key(one), None)


def _lean(one: dict[str, Any]) -> dict[str, Any]:
    """Leave out who set which field: a third of a pod."""
    one["metadata"].pop("managedFields", None)
    return one


REFLECTORS: Final = {"pods": LastingPodReflector, "events": LastingEventReflector}
