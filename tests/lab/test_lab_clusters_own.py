"""Clusters inside the user's server, in a real Jupyter Server with real Dask."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from af_labextension.clusters.manager.folder import Folder
from testbed.lab_clusters import (
    HERE,
    all_processes,
    ask,
    computing,
    ended,
    hears,
    holder,
    listed,
    make,
    processes,
    shown,
    tab,
    until,
)

if TYPE_CHECKING:
    from testbed.lab_server import LabServer, StartLab

pytestmark = pytest.mark.usefixtures("no_leftovers")


def state_of(cluster: str) -> dict[str, Any]:
    """Return the state file of a cluster."""
    found = Folder(Path(os.environ["AF_LAB_CLUSTERS"])).read(cluster)
    assert found is not None
    return found


async def lab_of(start_lab: StartLab, *types: dict[str, Any], **traits: Any) -> LabServer:
    """Start a Lab without a hub, whose own configuration names types."""
    return await start_lab(None, in_lab_types=list(types) or [HERE], **traits)


async def test_a_cluster_is_made_used_and_ended_when_the_panel_asks(start_lab: StartLab) -> None:
    lab = await lab_of(start_lab)
    status, types = await ask(lab, "GET", "af/clusters/types")
    assert (status, types["available"], types["message"]) == (200, True, None)
    (kind,) = types["types"]
    assert (kind["name"], kind["backend"], kind["available"]) == ("here", "in-lab", True)
    assert kind["options"]["properties"]["worker_memory"]["maximum"] == 2**30
    cluster = await make(lab)
    (one,) = await listed(lab)
    assert (one["id"], one["backend"], one["cores"]) == (cluster, "in-lab", 1)
    assert "private" not in one
    _, code = await ask(lab, "GET", f"af/clusters/{cluster}/code")
    namespace: dict[str, Any] = {}
    await asyncio.to_thread(exec, code["code"], namespace)
    assert namespace["client"].submit(sum, [1, 2, 3]).result(timeout=30) == 6
    await asyncio.to_thread(namespace["client"].close)
    assert state_of(cluster)["private"]["address"].startswith("tls://")
    _, logs = await ask(lab, "GET", f"af/clusters/{cluster}/logs?lines=5")
    assert [one["name"].split()[0] for one in logs["logs"]] == ["scheduler", "worker", "process"]
    assert all(len(one["text"].splitlines()) <= 5 for one in logs["logs"])
    assert logs["logs"][0]["truncated"]
    assert (await ask(lab, "DELETE", f"af/clusters/{cluster}"))[0] == 204
    await until(lambda: listed(lab), lambda found: not found)
    await ended(cluster)
    assert (await ask(lab, "GET", f"af/clusters/{cluster}"))[0] == 404


async def test_a_cluster_goes_on_computing_when_the_lab_starts_again(
    start_lab: StartLab,
) -> None:
    lab = await lab_of(start_lab)
    cluster = await make(lab)
    work = await computing(cluster, 600)
    for _ in range(3):
        await lab.app.extension_manager.stop_all_extensions()  # type: ignore[no-untyped-call]
        begin = time.monotonic()
        lab = await lab_of(start_lab)
        (one,) = await listed(lab)
        assert time.monotonic() - begin < 15  # three times what is promised
        assert (one["id"], one["state"]) == (cluster, "running")
    out, _ = await work.communicate()
    assert int(out) == sum(range(600))
    assert (await ask(lab, "DELETE", f"af/clusters/{cluster}"))[0] == 204
    await until(lambda: listed(lab), lambda found: not found)


async def test_the_panel_says_what_happened_when_the_holder_is_killed(
    start_lab: StartLab,
) -> None:
    lab = await lab_of(start_lab)
    cluster = await make(lab)
    work = await computing(cluster, 100_000)
    async with tab(lab) as told:
        killed = time.monotonic()
        os.kill(holder(cluster).pid, signal.SIGKILL)
        found = await hears(told, lambda found: found["clusters"][0]["state"] == "failed")
        assert time.monotonic() - killed < 15  # three times what is promised
        assert "killed, or out of memory" in found["clusters"][0]["reason"]
    await ended(cluster)
    work.kill()
    await work.communicate()
    _, logs = await ask(lab, "GET", f"af/clusters/{cluster}/logs?lines=100")
    assert "Scheduler at" in logs["logs"][0]["text"]
    assert (await ask(lab, "DELETE", f"af/clusters/{cluster}"))[0] == 204
    assert not await listed(lab)


async def test_nothing_is_left_when_lab_and_holder_are_killed(start_lab: StartLab) -> None:
    lab = await lab_of(start_lab)
    cluster = await make(lab)
    await lab.app.extension_manager.stop_all_extensions()  # type: ignore[no-untyped-call]
    os.kill(holder(cluster).pid, signal.SIGKILL)
    await ended(cluster)
    lab = await lab_of(start_lab)
    (one,) = await listed(lab)
    assert (one["state"], one["workers"]) == ("failed", 0)


async def test_what_a_killed_holder_leaves_is_ended_when_the_lab_looks(
    start_lab: StartLab, tmp_path: Path
) -> None:
    """A worker that does not notice: one that is stopped in the middle of what it does."""
    lab = await lab_of(start_lab)
    cluster = await make(lab)
    held = holder(cluster)
    others = [one for one in processes(cluster) if one.pid != held.pid]
    for one in others:
        one.suspend()
    os.kill(held.pid, signal.SIGKILL)
    await shown(lab, cluster, lambda one: one["state"] == "failed")
    await ended(cluster)


async def test_a_fixed_number_stays_when_it_was_adaptive_before(start_lab: StartLab) -> None:
    lab = await lab_of(start_lab)
    cluster = await make(lab)
    adaptive = {"mode": "adaptive", "minimum": 1, "maximum": 2}
    status, one = await ask(lab, "PATCH", f"af/clusters/{cluster}", {"scale": adaptive})
    assert (status, one["scale"]) == (200, adaptive)
    fixed = {"mode": "fixed", "workers": 2}
    status, one = await ask(lab, "PATCH", f"af/clusters/{cluster}", {"scale": fixed})
    assert (status, one["scale"]) == (200, fixed)
    await shown(lab, cluster, lambda one: one["workers"] == 2)
    # dask-labextension goes back to one worker after three steps of its forgotten Adaptive
    for _ in range(80):
        one = await shown(lab, cluster, bool)
        assert (one["workers"], one["wanted"]) == (2, 2)
        await asyncio.sleep(0.1)
    await ask(lab, "PATCH", f"af/clusters/{cluster}", {"scale": adaptive})
    await shown(lab, cluster, lambda one: one["workers"] == 1)
    await ask(lab, "DELETE", f"af/clusters/{cluster}")
    await until(lambda: listed(lab), lambda found: not found)


BAD = [
    ("type", {"type": "no-such", "options": {}, "scale": None}),
    ("type", {"type": "here; rm -rf /", "options": {}, "scale": None}),
    ("type", {"type": ["here"], "options": {}, "scale": None}),
    ("type", {"options": {}, "scale": None}),
    ("options", {"type": "here", "options": "x", "scale": None}),
    ("'factory'", {"type": "here", "options": {"factory": "os:system"}, "scale": None}),
    ("'module'", {"type": "here", "options": {}, "module": "os"}),
    ("worker_cores", {"type": "here", "options": {"worker_cores": 0}}),
    ("worker_cores", {"type": "here", "options": {"worker_cores": -1}}),
    ("worker_cores", {"type": "here", "options": {"worker_cores": "1"}}),
    ("worker_cores", {"type": "here", "options": {"worker_cores": 10**9}}),
    ("worker_cores", {"type": "here", "options": {"worker_cores": True}}),
    ("worker_memory", {"type": "here", "options": {"worker_memory": "1G; reboot"}}),
    ("worker_memory", {"type": "here", "options": {"worker_memory": "1G\n"}}),
    ("worker_memory", {"type": "here", "options": {"worker_memory": "$(id)"}}),
    ("worker_memory", {"type": "here", "options": {"worker_memory": 2**40}}),
    ("worker_memory", {"type": "here", "options": {"worker_memory": 1.5e9}}),
    ("scale.workers", {"type": "here", "scale": {"mode": "fixed", "workers": 10**9}}),
    ("scale.workers", {"type": "here", "scale": {"mode": "fixed", "workers": -1}}),
    ("scale.workers", {"type": "here", "scale": {"mode": "fixed", "workers": "2"}}),
    ("scale.workers", {"type": "here", "scale": {"mode": "fixed"}}),
    ("scale.maximum", {"type": "here", "scale": {"mode": "adaptive", "maximum": 0}}),
    (
        "scale.minimum",
        {"type": "here", "scale": {"mode": "adaptive", "minimum": 2, "maximum": 1}},
    ),
    ("mode", {"type": "here", "scale": {"mode": "wild\n"}}),
    ("scale", {"type": "here", "scale": 2}),
    ("'n'", {"type": "here", "scale": {"mode": "fixed", "workers": 1, "n": 1}}),
]


async def test_bad_input_is_refused_with_its_field_named(start_lab: StartLab) -> None:
    lab = await lab_of(start_lab)
    for field, body in BAD:
        status, answer = await ask(lab, "POST", "af/clusters", body)
        assert status in {400, 422}, (body, answer)
        assert field in answer["message"], (body, answer)
        assert "\n" not in answer["message"]
    for lines in ("0", "-1", "2001", "1e3", "x", "1;ls", "9" * 400):
        status, answer = await ask(lab, "GET", f"af/clusters/lab-{'0' * 32}/logs?lines={lines}")
        assert (status, "lines" in answer["message"]) == (400, True), lines
    assert not await listed(lab)


async def test_more_than_the_server_has_is_refused_in_words(
    start_lab: StartLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPU_LIMIT", "1.0")
    monkeypatch.setenv("MEM_LIMIT", str(500 * 1024**2))
    wide = {**HERE, "scale": {"default": 4, "max": 8}}
    lab = await lab_of(start_lab, wide)
    _, types = await ask(lab, "GET", "af/clusters/types")
    offered = types["types"][0]["options"]["properties"]
    assert offered["scale"]["default"] == {"mode": "fixed", "workers": 1}
    assert offered["scale"]["oneOf"][0]["properties"]["workers"]["maximum"] == 1
    assert offered["worker_memory"]["maximum"] == 500 * 1024**2
    scale = {"mode": "fixed", "workers": 2}
    status, answer = await ask(lab, "POST", "af/clusters", {"type": "here", "scale": scale})
    assert (status, answer["code"]) == (422, "bad-option")
    monkeypatch.setenv("CPU_LIMIT", "2.0")
    lab = await lab_of(start_lab, wide)
    status, answer = await ask(lab, "POST", "af/clusters", {"type": "here", "scale": scale})
    assert status == 422
    assert "scale.workers: 2 workers of this size need 600M" in answer["message"]
    assert "your server has 500M" in answer["message"]


async def test_a_type_says_why_when_it_cannot_be_made(
    start_lab: StartLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = {
        **HERE,
        "name": "large",
        "worker": {"cores": {"default": 500, "min": 500, "max": 500}},
    }
    lab = await lab_of(start_lab, HERE, large)
    _, types = await ask(lab, "GET", "af/clusters/types")
    here, other = types["types"]
    assert here["available"]
    assert (other["available"], "too small" in other["reason"]) == (False, True)
    status, answer = await ask(lab, "POST", "af/clusters", {"type": "large"})
    assert (status, answer["code"]) == (409, "type-unavailable")
    lab = await lab_of(start_lab, cluster_python="/no/such/python")
    _, types = await ask(lab, "GET", "af/clusters/types")
    assert "no package distributed" in types["types"][0]["reason"]
    assert not types["available"]


SLOW = """
import time
from distributed import LocalCluster

class Blocking(LocalCluster):
    def __init__(self, *args, **kwargs):
        time.sleep(3600)

class Broken:
    def __init__(self, *args, **kwargs):
        raise RuntimeError("the farm is closed")

class Site:
    '''A class as sites have them: not of distributed, nothing but the four things.'''
    def __init__(self, where, cores, secret=None):
        self.inner = LocalCluster(n_workers=0, threads_per_worker=cores, dashboard_address=None)
        self.where = where
        self.scheduler_address = self.inner.scheduler_address
    @property
    def scheduler_info(self):
        return self.inner.scheduler_info
    def scale(self, workers):
        self.inner.scale(workers)
    def adapt(self, minimum, maximum):
        self.inner.adapt(minimum=minimum, maximum=maximum)
    def close(self):
        self.inner.close()
"""


@pytest.fixture
def site_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a site's module where the kernel's Python finds it."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "site_clusters.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))


def site_type(name: str, factory: str, **kwargs: Any) -> dict[str, Any]:
    """Return a type of a site's class."""
    return {
        "name": name,
        "title": name,
        "in_lab": {"factory": f"site_clusters:{factory}", "kwargs": kwargs},
        "worker": {"cores": {"default": 1, "min": 1, "max": 4}},
        "scale": {"default": 1, "max": 10},
    }


async def test_a_class_of_a_site_is_held_with_what_the_administrator_says(
    start_lab: StartLab, site_module: None
) -> None:
    kind = site_type("site", "Site", where="T2", cores="{worker_cores}", secret=None)
    lab = await lab_of(start_lab, kind)
    cluster = await make(lab, 1, "site", worker_cores=2)
    (one,) = await listed(lab)
    assert (one["cores"], one["options"]) == (2, {"worker_cores": 2})
    answer = (await ask(lab, "GET", f"af/clusters/{cluster}"))[1]
    assert "T2" not in json.dumps(answer)
    await ask(lab, "DELETE", f"af/clusters/{cluster}")
    await until(lambda: listed(lab), lambda found: not found)
    await ended(cluster)


async def test_the_lab_answers_and_ends_it_when_a_class_blocks(
    start_lab: StartLab, site_module: None
) -> None:
    lab = await lab_of(start_lab, site_type("blocks", "Blocking"), HERE)
    begin = time.monotonic()
    status, made = await ask(lab, "POST", "af/clusters", {"type": "blocks"})
    assert (status, made["state"]) == (201, "pending")
    await shown(lab, made["id"], lambda one: one["state"] == "starting")
    other = await make(lab)
    assert len(await listed(lab)) == 2
    status, answer = await ask(
        lab,
        "PATCH",
        f"af/clusters/{made['id']}",
        {"scale": {"mode": "fixed", "workers": 1}},
    )
    assert (status, answer["code"]) == (409, "not-running")
    assert time.monotonic() - begin < 40
    for cluster in (made["id"], other):
        assert (await ask(lab, "DELETE", f"af/clusters/{cluster}"))[0] == 204
    await until(lambda: listed(lab), lambda found: not found)
    await ended(made["id"])


async def test_the_reason_is_shown_when_a_class_breaks(
    start_lab: StartLab, site_module: None
) -> None:
    lab = await lab_of(start_lab, site_type("broken", "Broken"), site_type("none", "NoSuch"))
    for kind, reason in (("broken", "the farm is closed"), ("none", "NoSuch")):
        _, made = await ask(lab, "POST", "af/clusters", {"type": kind})
        one = await shown(lab, made["id"], lambda one: one["state"] == "failed")
        assert reason in one["reason"]
        await ended(made["id"])
        assert (await ask(lab, "DELETE", f"af/clusters/{made['id']}"))[0] == 204
    assert not await listed(lab)


async def test_there_are_not_too_many(start_lab: StartLab, site_module: None) -> None:
    lab = await lab_of(start_lab, site_type("blocks", "Blocking"), in_lab_most=2)
    answers = await asyncio.gather(
        *(ask(lab, "POST", "af/clusters", {"type": "blocks"}) for _ in range(5))
    )
    assert sorted(status for status, _ in answers) == [201, 201, 409, 409, 409]
    assert {answer["code"] for status, answer in answers if status == 409} == {"too-many"}
    for status, answer in answers:
        if status == 201:
            await ask(lab, "DELETE", f"af/clusters/{answer['id']}")
    await until(lambda: listed(lab), lambda found: not found)


async def test_a_cluster_ends_by_itself_when_its_time_is_over(start_lab: StartLab) -> None:
    idle = {**HERE, "name": "idle", "lifetime": {"idle": 2, "max": 0}}
    brief = {**HERE, "name": "brief", "lifetime": {"idle": 0, "max": 6}}
    lab = await lab_of(start_lab, idle, brief)
    for kind, why in (("idle", "nothing to do"), ("brief", "live for 6 seconds")):
        _, made = await ask(lab, "POST", "af/clusters", {"type": kind})
        one = await shown(lab, made["id"], lambda one: one["state"] == "stopped")
        assert why in one["reason"]
        await ended(made["id"])


def modes(*paths: Path) -> set[int]:
    """Return the permissions of files."""
    return {stat.S_IMODE(path.stat().st_mode) for path in paths}


def inside(folder: Path) -> list[Path]:
    """Return the files of a folder."""
    return sorted(folder.iterdir())


async def test_files_are_the_users_alone(start_lab: StartLab) -> None:
    lab = await lab_of(start_lab)
    cluster = await make(lab)
    state = state_of(cluster)
    folder = Path(os.environ["AF_LAB_CLUSTERS"])
    assert modes(folder) == {0o700}
    assert modes(*inside(folder), Path(state["private"]["socket"])) == {0o600}
    # neither what the administrator says nor where the dashboard is stands where all can read
    for process in processes(cluster):
        assert not any("LocalCluster" in each or "{" in each for each in process.cmdline())
    await ask(lab, "DELETE", f"af/clusters/{cluster}")
    await until(lambda: listed(lab), lambda found: not found)
    assert [path.name for path in inside(folder)] == ["types.json"]
    await until(lambda: asyncio.to_thread(all_processes, str(folder)), lambda left: not left, 60)


async def test_a_cluster_is_found_when_the_runtime_folder_was_cleared(
    start_lab: StartLab,
) -> None:
    """A server that starts again through the hub finds its runtime folder empty."""
    lab = await lab_of(start_lab)
    cluster = await make(lab)
    socket = Path(state_of(cluster)["private"]["socket"])
    await asyncio.to_thread(socket.unlink)
    await until(lambda: asyncio.to_thread(socket.exists), bool)
    assert (await ask(lab, "DELETE", f"af/clusters/{cluster}"))[0] == 204
    await until(lambda: listed(lab), lambda found: not found)
