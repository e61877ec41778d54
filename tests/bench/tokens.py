"""What tokens cost: ``oidc-token`` at the Lab's socket, the whole extension, and an idle Lab."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figure import Figure
from bench.lab_process import lab_process
from bench.lab_start import one_start
from bench.peers import DASK, RUCIO, peer_python
from testbed.iam import start_iam
from testbed.lab_hub import SERVER_TOKEN, LabHub, lab_config
from testbed.oidc_agent import running_agent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.lab_start import Start

CALLS = 500
STARTS = 15
IDLE = 180.0
"""Seconds of watching an idle Lab: what is asked every minute or two shows."""

LIFE = 200.0
"""Seconds that a token lives while the idle Lab is watched: there is a renewal to count."""

ORDER = ("oidc-token at the Lab", "oidc-token at oidc-agent", "true")


def measure() -> list[Figure]:
    """Measure all of it; ours and the peers in turn, so that a slow minute hits all."""
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
        root = Path(folder)
        return [
            *oidc_token(root),
            *starts(root),
            idle(root),
        ]


# --- a hub -----------------------------------------------------------------------


@contextmanager
def running_hub(**settings: object) -> Iterator[LabHub]:
    """Run a hub in a thread of its own; nothing of it is counted."""
    door = {"name": "demo", "title": "x", "url": "https://127.0.0.1:9/s", "audience": "storage"}
    hub = LabHub(config=lab_config(storage=[door]))
    for name, value in settings.items():
        setattr(hub, name, value)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(hub.start(), loop).result(10)
    try:
        yield hub
    finally:
        asyncio.run_coroutine_threadsafe(hub.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def hub_environment(hub: LabHub, runtime: Path) -> dict[str, str]:
    """Return what a spawner sets: with it, everything that the extension has is on."""
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        "JUPYTERHUB_API_TOKEN": SERVER_TOKEN,
        "JUPYTERHUB_API_URL": hub.api_url,
        "BEARER_TOKEN_FILE": str(runtime / "bt"),
        "AF_TOKEN_DIR": str(runtime / "tokens"),
        "OIDC_SOCK": str(runtime / "agent"),
        "RUCIO_CONFIG": str(runtime / "rucio.cfg"),
    }


# --- oidc-token ------------------------------------------------------------------


def run_once(command: list[str], environment: Mapping[str, str]) -> float:
    """Return the milliseconds of one program from fork to its end."""
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    begin = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, environment, file_actions=[null])
    _, status = os.waitpid(pid, 0)
    spent = 1000 * (time.perf_counter() - begin)
    if status:
        raise RuntimeError(f"{command}: status {status}")
    return spent


def p99(values: list[float]) -> float:
    """Return the value that one of a hundred exceeds."""
    return statistics.quantiles(values, n=100)[-1]


def oidc_token(root: Path) -> list[Figure]:
    """Ask the Lab's socket and a real agent's in turn; the floor is starting any program."""
    iam = start_iam(root / "iam", more_clients={"agent": {}})
    spent: dict[str, list[float]] = {name: [] for name in ORDER}
    try:
        with running_agent(root / "agent", iam.acting_as("agent")) as agent, running_hub() as hub:
            agent.make_account("mine", "alice")
            environment = hub_environment(hub, root / "run")
            (root / "lab").mkdir()
            with lab_process(sys.executable, root / "lab", {}, environment):
                ours = {**os.environ, "OIDC_SOCK": environment["OIDC_SOCK"]}
                commands = {
                    ORDER[0]: (["oidc-token", "af"], ours),
                    ORDER[1]: (["oidc-token", "mine"], agent.environment),
                    ORDER[2]: (["true"], ours),
                }
                for command in commands.values():
                    run_once(*command)  # warm
                for _ in range(CALLS):
                    for name, command in commands.items():
                        spent[name].append(run_once(*command))
    finally:
        iam.stop()
    said = {
        name: f"p50 {statistics.median(each):.2f} ms, p99 {p99(each):.2f} ms"
        for name, each in spent.items()
    }
    return [
        Figure(
            "`oidc-token af` at the Lab's socket, warm",
            tuple(spent[ORDER[0]]),
            "ms",
            "≤ 5 ms",
            lambda value: value <= 5,
            f"a real oidc-agent: {said[ORDER[1]]}",
            f"{said[ORDER[0]]}; starting `true`: {said[ORDER[2]]}; load {load()}",
        )
    ]


def load() -> str:
    """Return the machine's load, which every timing suffers from."""
    return f"{os.getloadavg()[0]:.1f}"


# --- start -----------------------------------------------------------------------


def starts(root: Path) -> list[Figure]:
    """Start JupyterLab with and without each extension, each in its own environment."""
    with running_hub() as hub:
        runtime = root / "run-starts"
        everything = hub_environment(hub, runtime)
        kinds: dict[str, tuple[str, Path | str, dict[str, str]]] = {
            "ours": ("af_labextension", sys.executable, everything),
            "rucio-jupyterlab": ("rucio_jupyterlab.server", peer_python(RUCIO), {}),
            "dask-labextension": ("dask_labextension", peer_python(DASK), {}),
        }
        runs: dict[tuple[str, bool], list[Start]] = {}
        for number in range(STARTS + 1):
            for name, (extension, python, environment) in kinds.items():
                for on in (False, True):
                    home = root / f"home-{name}"
                    home.mkdir(exist_ok=True)
                    start = one_start(
                        home, on=on, extension=extension, python=python, environment=environment
                    )
                    if number:  # the first one warms the page cache
                        runs.setdefault((name, on), []).append(start)
    return [
        start_figure(runs, "seconds", "wall time", "ms", 50),
        start_figure(runs, "processor", "processor time", "ms", 50),
        start_figure(runs, "memory", "resident memory", "MB", 5),
    ]


def start_figure(
    runs: Mapping[tuple[str, bool], list[Start]], what: str, title: str, unit: str, target: float
) -> Figure:
    """Compare the best runs with and without: whatever else the machine does only adds."""
    factor = 1000 if unit == "ms" else 1

    def best(name: str, *, on: bool) -> float:
        return factor * min(float(getattr(run, what)) for run in runs[name, on])

    def usual(*, on: bool) -> float:
        return factor * statistics.median(float(getattr(run, what)) for run in runs["ours", on])

    added = {name: best(name, on=True) - best(name, on=False) for name, on in runs if on}
    plain = [factor * float(getattr(run, what)) for run in runs["ours", False]]
    peers = ", ".join(
        f"{name} {each:+.3g} {unit}" for name, each in added.items() if name != "ours"
    )
    return Figure(
        f"the whole extension in Lab's start, {title}",
        (added["ours"],),
        unit,
        f"≤ {target:.0f} {unit}",
        lambda value: value <= target,
        f"{peers}; plain Lab {min(plain):.0f} {unit}",
        f"best of {STARTS} each, medians differ by {usual(on=True) - usual(on=False):+.3g} {unit};"
        f" plain runs differ by {max(plain) - min(plain):.0f} {unit};"
        f" load {load()}",
    )


# --- idle ------------------------------------------------------------------------


def idle(root: Path) -> Figure:
    """Count the requests of a Lab whose page is closed, at the hub and at the Lab itself."""
    with running_hub(life=LIFE) as hub:
        environment = hub_environment(hub, root / "run-idle")
        (root / "idle").mkdir()
        with lab_process(sys.executable, root / "idle", {}, environment) as lab:
            lab.request("lab").close()  # the page was open once
            lab.request("af/status").close()
            time.sleep(5)
            log = root / "idle" / "lab.log"
            before = log.stat().st_size
            hub.requests.clear()
            time.sleep(IDLE)
            asked = list(hub.requests)
            written = log.read_bytes()[before:].decode()
    renewals = sum(path.endswith("/token") for path in asked)
    own = len(re.findall(r"\b(?:GET|HEAD|POST|PUT|PATCH|DELETE) /", written))
    return Figure(
        f"requests of an idle Lab in {IDLE:.0f} s, beside renewals",
        (float(len(asked) - 2 * renewals + own),),
        "",
        "0",
        lambda value: value == 0,
        note=f"{renewals} renewals, each a question for the token and one for what there is;"
        f" hub asked {len(asked)} times, Lab {own}",
    )
