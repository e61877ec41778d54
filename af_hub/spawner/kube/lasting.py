"""KubeSpawner that is right again soon after the API server is; upstream's faults end here."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

import kubespawner
from jupyterhub.utils import exponential_backoff
from kubernetes_asyncio.client import ApiException

from af_hub.spawner.kube.api_server import (
    REFLECTORS,
    away_refusal,
    lost_refusal,
    no_refusal,
    taken_refusal,
)
from af_hub.spawner.kube.follow import FAILURES, REFUSED_AT_MOST, is_away
from af_hub.spawner.kube.homes import OwnHomes, is_of
from af_hub.spawner.starts.spawner import PacedSpawner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from af_hub.spawner.kube.events import Event

_OVER = frozenset({"Failed", "Succeeded"})
"""Phases of a pod that never comes back; an evicted one has failed."""


class LastingKubeSpawner(PacedSpawner, OwnHomes, kubespawner.KubeSpawner):  # type: ignore[misc]  # untyped upstream
    """Waits out an absence of the API server, and notices pods that are gone."""

    reflectors: ClassVar[dict[Any, Any]] = {}

    _away = False
    """Whether the last request of a start got no answer."""

    _refused = 0
    """How often an API server that was away in this start has forbidden something since."""

    _seen: bool | None = None
    """Whether the pod that a start waits for has been seen; None while nothing waits."""

    _running: Any = None
    """The pod as the API server had told when it was last found to run or to be on its way."""

    async def start(self) -> str:
        """Start the pod.

        Returns
        -------
        str
            Address of the Lab.

        Raises
        ------
        Refusal
            ``cluster-away``, ``cluster-refused`` or ``pod-lost``.
        """
        self._seen, self._away, self._refused = False, False, 0
        if self.events_enabled:
            await self._start_watching_events()
            self.event_reflector.book.expect(self._pod_key)
        try:
            address: str = await super().start()
        except TimeoutError:
            if self._away:
                raise away_refusal() from None
            raise
        finally:
            self._seen = None
        # many pods run at the same moment, and JupyterHub goes on with each of them
        await self.take_turn()
        return address

    async def get_url(self) -> str:
        """Wait for a pod that a killed hub began to start.

        Returns
        -------
        str
            Its address; what the hub's database says if it does not run in time.
        """
        try:
            await exponential_backoff(
                lambda: self.is_pod_running(self._pod), "", timeout=self.start_timeout
            )
        except TimeoutError:
            return str(self.server.url)
        return str(self._get_pod_url(self._pod))

    async def poll(self) -> int | None:
        """Tell whether the pod runs or will; remove one that is over.

        Returns
        -------
        int or None
            None while it runs, else an exit code.
        """
        await self._start_watching_pods()
        pod = self._pod
        if pod is not None and pod is self._running:
            # nothing was told about it since the last look
            return None
        if self._is_anothers(pod):
            # upstream would send the user there
            return 1
        status: int | None = await super().poll()
        if self._pod is not None and self._pod["status"]["phase"] in _OVER:
            # upstream leaves an evicted one, or takes it for a running one
            await self.stop(now=True)
            return 1 if status is None else status
        self._running = pod if status is None else None
        return status

    async def stop(self, now: bool = False) -> None:
        """End the pod; JupyterHub does so after a start that failed, too.

        Parameters
        ----------
        now
            Without time for the pod to end by itself.
        """
        if not self._is_anothers(self._pod):
            await super().stop(now)

    def is_pod_running(self, pod: Any) -> bool:
        """Tell whether a pod runs.

        Raises
        ------
        Refusal
            ``pod-lost`` if a start waits for it and it is over or gone; upstream would wait for
            all of `start_timeout`.
        """
        if self._seen is not None:
            there = pod is not None and "deletionTimestamp" not in pod["metadata"]
            over = there and pod["status"]["phase"] in _OVER
            if over or (self._seen and not there):
                raise lost_refusal(pod)
            self._seen = self._seen or there
        return bool(super().is_pod_running(pod))

    @property
    def events(self) -> Sequence[Any]:
        """Nothing: upstream would sort all there are for each page that shows a start."""
        return ()

    @property
    def told(self) -> Sequence[Event]:
        """What the cluster has told about the pod since its start began, the newest last."""
        reflector = self.event_reflector
        return () if reflector is None else reflector.book.of(self._pod_key)

    def clear_state(self) -> None:
        """Forget the pod, and what was told about it."""
        if self.event_reflector is not None:
            self.event_reflector.book.forget(self._pod_key)
        super().clear_state()

    @property
    def _pod_key(self) -> str:
        return f"{self.namespace}/{self.pod_name}"

    @property
    def _pod(self) -> Any:
        """The pod as the API server last told; None: there is none."""
        reflector = self.pod_reflector
        return None if reflector is None else reflector.pods.get(self._pod_key)

    def _is_anothers(self, pod: Any) -> bool:
        """Tell whether a pod that has this one's name is another user's."""
        return pod is not None and not is_of(self.user.name, pod["metadata"])

    async def _start_reflector(
        self, kind: str, reflector_class: Any, replace: bool = False, **kwargs: Any
    ) -> Any:
        """Watch with reflectors that last; forget one that could not begin."""
        ours = REFLECTORS.get(kind, reflector_class)
        try:
            return await super()._start_reflector(kind, ours, replace, **kwargs)
        except BaseException:
            # upstream would hand it to every later start
            self.reflectors.pop(self._get_reflector_key(kind), None)
            raise

    async def _make_create_pod_request(self, pod: Any, request_timeout: float) -> bool:
        """Create the pod; False asks for another try.

        One of the same user that is left from before is removed.

        Raises
        ------
        Refusal
            ``cluster-refused`` if the cluster says no, or somebody else's pod has this name.
        """
        try:
            return await self._answered(asyncio.wait_for(self._create_pod(pod), request_timeout))
        except ApiException as error:
            if error.status != HTTPStatus.CONFLICT:
                # upstream would log all of the pod, with the server's token
                raise no_refusal(error) from None
        if self._is_anothers(self._pod):
            # upstream would end it
            raise taken_refusal(self.pod_name)
        if self._pod is None:
            # the watch will tell
            return False
        self.log.info("A pod %s is left from before, removing it", self.pod_name)
        await self.stop(now=True)
        return False

    async def _create_pod(self, pod: Any) -> None:
        """Create the pod; what the cluster made of it is told by the watch, and is not read here."""
        request = self.api.create_namespaced_pod
        async with await request(self.namespace, pod, _preload_content=False) as answer:
            if answer.status >= HTTPStatus.BAD_REQUEST:
                error = ApiException(status=answer.status, reason=answer.reason)
                error.body = await answer.text()
                raise error

    async def get_pod_manifest(self) -> Any:
        """Write the pod, when it is this start's turn."""
        await self.take_turn()
        return await super().get_pod_manifest()

    async def _make_create_pvc_request(self, pvc: Any, request_timeout: float) -> bool:
        """Create the home volume's claim if there is none; False asks for another try."""
        try:
            return await self._answered(super()._make_create_pvc_request(pvc, request_timeout))
        except ApiException as error:
            raise no_refusal(error) from None

    async def _make_delete_pod_request(self, *args: Any, **kwargs: Any) -> bool:
        """Delete the pod, however long the API server is away: JupyterHub does not ask again."""
        deleting, refused = super()._make_delete_pod_request, 0
        while True:
            try:
                if await self._answered(deleting(*args, **kwargs)):
                    return True
            except ApiException as error:
                # an API server that has just started knows no roles yet
                refused += 1
                if error.status != HTTPStatus.FORBIDDEN or refused > REFUSED_AT_MOST:
                    raise
            await asyncio.sleep(1)

    async def _answered(self, request: Awaitable[Any]) -> bool:
        """Await a request; tell whether it has been answered with a yes."""
        try:
            answer = await request
        except FAILURES as error:
            if not is_away(error) and not self._knows_no_roles(error):
                raise
            answer = False
        self._away = answer is False
        self._refused *= self._away
        return not self._away

    def _knows_no_roles(self, error: BaseException) -> bool:
        """Tell whether a no may come from an API server that has just started."""
        forbidden = getattr(error, "status", 0) == HTTPStatus.FORBIDDEN
        self._refused += self._away and forbidden
        return self._away and forbidden and self._refused <= REFUSED_AT_MOST
