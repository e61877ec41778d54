"""What schedulers and workers are started with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from distributed.nanny import _get_env_variables

from af_hub.compute.launch import ALLOCATOR, ClusterFacts, worker_launch

FACTS = ClusterFacts(
    name="c", folder="/c", host="127.0.0.1", api_url="http://g", audience="storage", extra={}
)


def test_workers_keep_memory_when_the_nanny_would_trim_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tells, too, when Dask stops letting the environment win over its default."""
    launch = worker_launch(
        ("dask", "worker"), FACTS, name="w", scheduler="tls://s", threads=1, memory=1, files={}
    )
    assert launch.environment.items() >= ALLOCATOR.items()
    for name, value in launch.environment.items():
        monkeypatch.setenv(name, value)
    chosen = _get_env_variables("distributed.nanny.pre-spawn-environ")
    assert chosen["MALLOC_TRIM_THRESHOLD_"] == ALLOCATOR["MALLOC_TRIM_THRESHOLD_"]


def test_no_token_is_in_arguments_or_environment_of_a_worker() -> None:
    launch = worker_launch(
        ("dask", "worker"),
        FACTS,
        name="w",
        scheduler="tls://s",
        threads=1,
        memory=1,
        files={"gateway-token": b"canary-token"},
    )
    assert "canary" not in " ".join((*launch.command, *launch.environment.values()))


@pytest.mark.parametrize(
    ("audience", "doors"),
    [("storage", "storage=https://a/s storage=root://b//s"), ("store", ""), ("", "")],
)
def test_workers_know_the_doors_of_their_tokens_audience_only(audience: str, doors: str) -> None:
    said = "storage=https://a/s archive=https://c/s storage=root://b//s"
    facts = replace(FACTS, audience=audience, extra={"AF_DOORS": said})
    launch = worker_launch(
        ("dask", "worker"), facts, name="w", scheduler="tls://s", threads=1, memory=1, files={}
    )
    assert launch.environment["AF_DOORS"] == doors
    assert (f"{FACTS.folder}/af_token_preload.py" in launch.command) == bool(audience)
