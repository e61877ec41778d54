"""The cluster object: the only place that calls dask. All calls block; they run in one thread.

Classes of all ages are held, so only what every Dask cluster has is taken for granted
(``scheduler_address``, ``scale``, ``adapt``, ``close``), and the classes' synchronous side is used,
which all of them have.
"""

from __future__ import annotations

import importlib
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

PATIENCE = 20.0
"""Seconds for one answer of the cluster's own loop."""


class CannotStart(Exception):
    """The cluster cannot be made; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A cluster at a moment.

    Parameters
    ----------
    alive
        The scheduler runs.
    workers, wanted
        Connected now, and asked for.
    cores, memory
        Of the connected workers; memory in bytes.
    idle_since
        When it was last seen at work, seconds since the epoch; None: at work, or unknown.
    """

    alive: bool
    workers: int
    wanted: int | None
    cores: int
    memory: int
    idle_since: float | None


def fill(value: Any, wish: dict[str, Any]) -> Any:
    """Put what the user chose in place of ``"{worker_cores}"`` and the like, at any depth."""
    if isinstance(value, str) and value[:1] == "{" and value[-1:] == "}" and value[1:-1] in wish:
        return wish[value[1:-1]]
    if isinstance(value, dict):
        return {name: fill(each, wish) for name, each in value.items()}
    if isinstance(value, list):
        return [fill(each, wish) for each in value]
    return value


def load(factory: str) -> Any:
    """Import ``module:Class``.

    Raises
    ------
    CannotStart
        There is none.
    """
    module, _, name = factory.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise CannotStart(
            f"The kernel's Python has no {factory}: {error}. Tell the facility's support."
        ) from error


def is_local(maker: Any) -> bool:
    """Tell whether a class is Dask's own LocalCluster."""
    return bool(maker is importlib.import_module("distributed").LocalCluster)


class Held:
    """One cluster.

    Parameters
    ----------
    factory
        ``module:Class``.
    args, kwargs
        For the class; ``"{worker_cores}"`` stands for what the user chose.
    wish
        What the user chose.
    """

    def __init__(
        self, factory: str, args: list[Any], kwargs: dict[str, Any], wish: dict[str, Any]
    ) -> None:
        self._factory = factory
        self._args, self._kwargs = fill(args, wish), fill(kwargs, wish)
        self._wish = wish
        self._cluster: Any = None
        self._guard: Any = None
        self._wanted: int | None = None
        self._security: Any = None

    def start(self, scale: dict[str, Any]) -> None:
        """Make the cluster and ask for its workers.

        Raises
        ------
        CannotStart
            With the reason, for the user.
        """
        maker = load(self._factory)
        arguments = self._kwargs
        if is_local(maker):
            arguments = {**self._closed(), **self._sizes(), **arguments, "n_workers": 0}
        try:
            self._cluster = maker(*self._args, **arguments)
        except Exception as error:
            log.exception("%s", self._factory)
            raise CannotStart(f"{type(error).__name__}: {str(error)[:300]}") from error
        self.scale(scale)

    def _closed(self) -> dict[str, Any]:
        """Close a local cluster to the machine's other users: TLS, and pages behind a token."""
        distributed = importlib.import_module("distributed")
        try:
            self._security = distributed.Security.temporary()
        except ImportError as error:
            raise CannotStart(
                "The kernel's Python has no package cryptography, without which other users of"
                " this machine could use your cluster. Install it, or tell the facility's support."
            ) from error
        # workers take over the configuration of this process: pages that nobody needs
        importlib.import_module("dask").config.set({"distributed.worker.http.routes": []})
        guard = f"{__package__}.guard"
        self._guard = importlib.import_module(guard)
        return {
            "security": self._security,
            "host": "127.0.0.1",
            "dashboard_address": "127.0.0.1:0",
            "scheduler_kwargs": {"preload": guard},
            "silence_logs": False,
        }

    def _sizes(self) -> dict[str, Any]:
        names = {"threads_per_worker": "worker_cores", "memory_limit": "worker_memory"}
        return {
            "threads_per_worker": 1,
            **{ours: self._wish[theirs] for ours, theirs in names.items() if theirs in self._wish},
        }

    @property
    def address(self) -> str:
        """Address of the scheduler."""
        return str(getattr(self._cluster, "scheduler_address", "") or "")

    @property
    def dashboard(self) -> str:
        """Where the pages of the scheduler begin; empty if it has none."""
        link = ""
        with suppress(Exception):
            link = str(self._cluster.dashboard_link or "")
        scheme, found, rest = link.partition("://")
        if not found:
            return ""
        place = rest.partition("?")[0].removesuffix("/").removesuffix("/status")
        return f"{scheme}://{place}"

    @property
    def dashboard_token(self) -> str | None:
        """What the pages want to see; None: nothing."""
        return None if self._guard is None else str(self._guard.TOKEN)

    def scale(self, scale: dict[str, Any]) -> None:
        """Have so many workers from now on."""
        if scale["mode"] == "adaptive":
            self._cluster.adapt(minimum=scale["minimum"], maximum=scale["maximum"])
            self._wanted = None
            return
        self._stop_adapting()
        self._cluster.scale(scale["workers"])
        self._wanted = scale["workers"]

    def _stop_adapting(self) -> None:
        """Stop what would turn a fixed number of workers back; dask forgets it and lets it run."""
        adaptive = getattr(self._cluster, "_adaptive", None)
        if adaptive is None:
            return

        async def stop() -> None:
            adaptive.stop()

        self._on_loop(stop)
        end = time.monotonic() + PATIENCE
        # a step that is under way would still close workers afterwards
        while getattr(adaptive, "_adapting", False) and time.monotonic() < end:
            time.sleep(0.01)
        self._cluster._adaptive = None  # noqa: SLF001 - else adapt() stops a stopped one

    def _on_loop(self, function: Any) -> Any:
        """Call a coroutine function where the cluster's own code runs."""
        return self._cluster.sync(function, callback_timeout=PATIENCE)

    def look(self) -> Facts:
        """Return how it is now."""
        scheduler = getattr(self._cluster, "scheduler", None)
        if hasattr(scheduler, "check_idle") and hasattr(scheduler, "workers"):
            facts: Facts = self._on_loop(lambda: self._ask(scheduler))
            return facts
        workers = getattr(self._cluster, "scheduler_info", {}).get("workers", {}).values()
        return Facts(
            alive=_status(self._cluster) not in {"closing", "closed", "failed"},
            workers=len(workers),
            wanted=self._planned(),
            cores=sum(one.get("nthreads", 0) for one in workers),
            memory=sum(one.get("memory_limit") or 0 for one in workers),
            idle_since=None,
        )

    async def _ask(self, scheduler: Any) -> Facts:
        workers = list(scheduler.workers.values())
        return Facts(
            alive=_status(scheduler) not in {"closing", "closed", "failed"},
            workers=len(workers),
            wanted=self._planned(),
            cores=sum(one.nthreads for one in workers),
            memory=sum(one.memory_limit or 0 for one in workers),
            idle_since=scheduler.check_idle(),
        )

    def _planned(self) -> int | None:
        plan = getattr(self._cluster, "worker_spec", None)
        return self._wanted if plan is None else len(plan)

    def logs(self) -> dict[str, str]:
        """Return the logs of scheduler and workers, as far as the class gives them."""
        if not hasattr(self._cluster, "get_logs"):
            return {}
        found = self._cluster.get_logs(cluster=False)
        return {str(name): str(text) for name, text in found.items()}

    def security(self) -> dict[str, str] | None:
        """Return what a client needs to connect, as texts in PEM; None: nothing."""
        security: Any = self._security or getattr(self._cluster, "security", None)
        if not getattr(security, "require_encryption", False):
            return None
        wanted = security.get_tls_config_for_role("client")
        found = {
            "tls_ca_file": wanted.get("ca_file"),
            "tls_client_cert": wanted.get("cert"),
            "tls_client_key": wanted.get("key"),
        }
        return {name: str(text) for name, text in found.items() if text}

    def close(self) -> None:
        """End it."""
        if self._cluster is not None:
            with suppress(Exception):  # all its processes are ended afterwards, in any case
                self._stop_adapting()
            self._cluster.close()


def _status(part: Any) -> str:
    status = getattr(part, "status", "")
    return str(getattr(status, "name", status))
