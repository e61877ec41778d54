"""The pure parts of what holds clusters inside the user's server, and events."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_labextension.clusters.manager.caller import NoAnswer, SaidNo, ask
from af_labextension.clusters.manager.folder import (
    KILLED,
    MARK,
    NEVER_STARTED,
    SERVER_ENDED,
    SHOWN,
    SILENCE,
    START_LIMIT,
    Folder,
    new_id,
    public,
)
from af_labextension.clusters.manager.held import fill
from af_labextension.clusters.manager.launch import Plan, command, environment
from af_labextension.clusters.manager.messages import BadMessage, read_request
from af_labextension.clusters.manager.proc import Identity, kill_marked
from af_labextension.clusters.manager.sockets import listen
from af_labextension.clusters.manager.times import Lifetime
from af_labextension.clusters.model import cut_logs
from af_labextension.clusters.sse import LARGEST, Event, Reader, written

if TYPE_CHECKING:
    from pathlib import Path

PLAN = Plan("here", "Here", "", "m:C", [], {"key": "v"}, {}, {"mode": "fixed", "workers": 2})


def written_down(folder: Folder, **changes: Any) -> str:
    """Write a cluster down and return its id."""
    cluster = new_id()
    # the plan is as old as the run of the tests
    folder.write({**PLAN.state(cluster), "created_at": time.time(), **changes})
    return cluster


def test_a_new_cluster_is_pending_and_says_nothing_of_its_class(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "clusters")
    cluster = written_down(folder)
    (state,) = folder.clusters()
    assert (state["id"], state["state"], state["wanted"]) == (cluster, "pending", 2)
    assert "m:C" not in json.dumps(state)
    assert "private" not in public(state)
    assert "m:C" not in str(command("python", "hold"))
    assert environment({"A": "b"}, cluster) == {"A": "b", MARK: cluster}


def test_a_cluster_without_a_process_is_one_that_did_not_start(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    cluster = written_down(folder, created_at=time.time() - START_LIMIT - 1)
    state = folder.look(cluster)
    assert state is not None
    assert (state["state"], state["reason"]) == ("failed", NEVER_STARTED)


def test_a_cluster_fails_when_its_process_is_gone_and_what_it_left_is_ended(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path)
    cluster = new_id()
    gone = subprocess.Popen(["true"])
    holder = Identity.mine().as_json() | {"pid": gone.pid}
    gone.wait()
    with subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: cluster}) as left:
        state = {**PLAN.state(cluster), "state": "running", "private": {"holder": holder}}
        folder.write(state)
        found = folder.look(cluster)
        assert found is not None
        assert (found["state"], found["reason"], found["workers"]) == ("failed", KILLED, 0)
        assert left.wait(10) < 0
    with suppress(OSError):
        os.utime(folder.state_file(cluster))
    folder.write({**found, "ended_at": time.time() - SHOWN - 1})
    assert folder.look(cluster) is None
    assert folder.ids() == []


def test_a_cluster_that_was_ended_stays_away(tmp_path: Path) -> None:
    """Its process may write once more, just before it is ended: that must not bring it back."""
    folder = Folder(tmp_path)
    cluster = written_down(folder)
    state = folder.read(cluster)
    assert state is not None
    folder.end(cluster)
    assert folder.clusters() == []
    folder.write(state)
    assert folder.clusters() == []
    assert folder.ids() == []


def test_a_cluster_of_another_machine_is_another_servers(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    elsewhere = {**Identity.mine().as_json(), "machine": "another"}
    cluster = written_down(folder, state="running", private={"holder": elsewhere})
    assert folder.clusters() == []
    old = time.time() - SILENCE - 1
    os.utime(folder.state_file(cluster), (old, old))
    (state,) = folder.clusters()
    assert (state["state"], state["reason"]) == ("failed", SERVER_ENDED)


def test_a_process_is_told_apart_from_a_later_one_with_its_number() -> None:
    mine = Identity.mine()
    assert mine.runs
    assert Identity.from_json(mine.as_json()) == mine
    assert not Identity(mine.pid, mine.start + 1, mine.machine).runs
    assert Identity.from_json({"pid": "1"}) is None
    assert Identity.from_json(None) is None


def test_only_what_carries_the_mark_is_ended() -> None:
    marked = {**os.environ, MARK: "lab-one"}
    with (
        subprocess.Popen(["sleep", "600"], env=marked) as one,
        subprocess.Popen(["sleep", "600"], env={**marked, MARK: "lab-one1"}) as other,
    ):
        # the environment of a process is there only once its program runs
        end = time.monotonic() + 30
        while kill_marked(MARK, "lab-one") != [one.pid]:
            assert time.monotonic() < end
        one.wait()
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize(
    "name", ["../etc/passwd", "lab-x", "", "lab-" + "g" * 32, "lab-" + "A" * 32]
)
def test_no_file_is_read_whose_name_is_no_id(tmp_path: Path, name: str) -> None:
    assert Folder(tmp_path).read(name) is None


@given(raw=st.binary(max_size=300))
def test_a_line_that_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(BadMessage):
        read_request(raw)


def test_a_deep_request_is_refused() -> None:
    with pytest.raises(BadMessage):
        read_request(b"[" * 100_000)


def test_a_socket_is_the_users_alone_and_its_path_may_be_long(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    path = folder / "af.sock"
    with listen(path):
        assert path.stat().st_mode & 0o777 == 0o600
    state = {"private": {"socket": str(path)}}
    with pytest.raises(NoAnswer):
        ask(state, "logs")
    with pytest.raises(SaidNo):
        ask({}, "logs")
    with listen(path):  # what a dead process left is replaced
        pass


def test_what_the_user_chose_stands_in_the_arguments() -> None:
    wish = {"worker_cores": 2, "worker_memory": 3}
    assert fill({"a": ["{worker_cores}", "{x}"], "b": {"c": "{worker_memory}"}}, wish) == {
        "a": [2, "{x}"],
        "b": {"c": 3},
    }


def test_a_cluster_ends_by_the_limit_that_comes_first() -> None:
    limits = Lifetime(idle=600.0, max=3600.0)
    assert Lifetime().end(0.0, 0.0) is None
    end = limits.end(0.0, None)
    assert end is not None
    assert (end.at, end.why, end.warning(0.0)) == (3600.0, "lifetime", None)
    end = limits.end(0.0, 100.0)
    assert end is not None
    assert (end.at, end.why) == (700.0, "idle")
    assert end.warning(350.0) is None
    assert end.warning(580.0) == "It ends in less than 2 minutes: nothing to do."
    assert end.reason == "It ended by itself: it had nothing to do for 10 minutes."


def test_the_holder_runs_without_this_package_in_its_python(tmp_path: Path) -> None:
    """The kernel's Python may be another one: ``run.py`` brings what it needs, and no more."""
    program = command(sys.executable, "describe")
    bare = [program[0], "-I", "-S", *program[2:]]
    run = subprocess.run(bare, capture_output=True, text=True, timeout=60, check=True)
    told = json.loads(run.stdout)
    assert told == {
        "configured": None,
        "problem": None,
        "distributed": False,
        "cryptography": False,
    }


@given(
    events=st.lists(
        st.tuples(st.sampled_from(["clusters", "other"]), st.text(max_size=20)), max_size=5
    ),
    cut=st.integers(min_value=1, max_value=50),
)
def test_events_are_read_as_they_are_written_however_they_are_cut(
    events: list[tuple[str, str]], cut: int
) -> None:
    raw = b":\n\n".join(written(name, {"text": text}) for name, text in events)
    reader = Reader()
    found = [
        event
        for start in range(0, len(raw), cut)
        for event in reader.feed(raw[start : start + cut])
    ]
    assert [(one.name, json.loads(one.data)["text"]) for one in found] == events


def test_foreign_events_are_read_and_endless_ones_refused() -> None:
    reader = Reader()
    raw = b"data: a\r\ndata:b\r\n\r\n: comment\n\nevent: x\n\nid: 1\ndata\n\n"
    assert list(reader.feed(raw)) == [Event("message", "a\nb"), Event("message", "")]
    with pytest.raises(ValueError, match="too long"):
        list(reader.feed(b"data: " + b"x" * (LARGEST + 1)))


def test_logs_are_cut_and_the_scheduler_comes_first() -> None:
    logs = {"tls://1": "a\nb\nc", "Scheduler": "d", "process": ""}
    assert cut_logs(logs, 2) == [
        {"name": "scheduler", "text": "d", "truncated": False},
        {"name": "worker tls://1", "text": "b\nc", "truncated": True},
        {"name": "process", "text": "", "truncated": False},
    ]
