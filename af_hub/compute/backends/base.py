"""What an engine has to do for `af_hub.compute.backend`: start, stop and look after processes.

To add an engine: write a module with a class that fulfils `Engine`, add its name to
``ClusterType.backend`` and to `af_hub.compute.backend.FacilityBackend.setup`. Everything else
(types, quotas, tokens, states, dashboards) is the same for all engines and stands in the frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from af_hub.compute.launch import Launch

State = dict[str, Any]
"""What an engine has to remember about a process: JSON, kept in Gateway's database."""


class Engine(Protocol):
    """Starts, stops and checks processes of clusters.

    A state is yielded as soon as there is something to clean up, so that a start that fails
    half-way, or a gateway that is killed, leaves nothing behind.
    """

    host: str
    """Address that schedulers and workers listen at."""

    def folder(self, cluster: str) -> str:
        """Return where the files of a cluster lie, as its own processes see it."""

    def start_cluster(self, cluster: str, launch: Launch) -> AsyncIterator[State]:
        """Prepare a cluster and start its scheduler.

        Yields
        ------
        State
            Each replaces the one before.
        """

    async def stop_cluster(self, cluster: str, state: Mapping[str, Any]) -> None:
        """Stop the scheduler and remove all that the cluster had. May be called twice."""

    def start_worker(self, cluster: str, worker: str, launch: Launch) -> AsyncIterator[State]:
        """Start one worker."""

    async def stop_worker(self, cluster: str, state: Mapping[str, Any]) -> None:
        """Stop one worker. May be called twice."""

    async def alive(self, states: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Tell which of these processes are pending or running."""

    async def write_file(self, cluster: str, name: str, content: bytes) -> None:
        """Put a file into the cluster's folder, mode 0600, at once whole.

        Raises
        ------
        OSError
            If it cannot be written, or the cluster's folder is gone.
        """
