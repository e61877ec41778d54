"""What an engine has to do for `af_hub.compute.backend`: start, stop and look after processes.

To add an engine: write a module with a class that fulfils `Engine`, give it a section in
`af_hub.compute.types`, and name both in `af_hub.compute.backends`. Everything else (types, quotas,
tokens, states, dashboards, logs, life cycle) is the same for all engines and stands in the frame.
``docs/administrator/write-a-backend.md`` tells it step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from af_hub.compute.launch import Launch
    from af_hub.compute.logs import Log
    from af_hub.compute.types import ClusterType

State = dict[str, Any]
"""What an engine has to remember about a process: JSON, kept in Gateway's database."""


class Engine(Protocol):
    """Starts, stops and checks processes of clusters.

    A state is yielded as soon as there is something to clean up, so that a start that fails
    half-way, or a gateway that is killed, leaves nothing behind. Whatever fails raises; the frame
    tries a stop again until it works, and counts the worker for the quota as long.
    """

    host: str
    """Address that schedulers and workers are told to listen at."""

    def believes(self, host: str) -> bool:
        """Tell whether a scheduler can be at this host, as it says of itself.

        The gateway sends requests there, and schedulers run their owners' code: say no to all but
        the places where you start schedulers.
        """

    def folder(self, cluster: str) -> str:
        """Return where the files of a cluster lie, as its own processes see it."""

    async def problem(self, kind: ClusterType, image: str) -> str | None:
        """Tell why no cluster of this type and image can be made now: a sentence for the user.

        Asked each time that somebody opens the dialog: it must not wait for a slow service.
        """

    def start_cluster(self, cluster: str, launch: Launch) -> AsyncIterator[State]:
        """Prepare a cluster and start its scheduler.

        A gateway that was killed while it did this does it again: begin by removing what is there.

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

    async def end_unknown(self, known: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
        """End and remove what nobody knows; called every 30 s.

        Parameters
        ----------
        known
            States of scheduler and workers, by cluster, also of other engines. A process may have begun so lately that
            its state is not in here: leave young ones alone.

        Returns
        -------
        list of str
            A line for the log about each thing that was ended.
        """

    async def logs(self, cluster: str, lines: int) -> list[Log]:
        """Return the last lines of scheduler and workers, without the cluster's secrets."""
