"""How long a physicist waits for a Lab in a pod: from the login to a page that works."""

from __future__ import annotations

import secrets
import statistics
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figure import Figure
from testbed.images import build_image
from testbed.kube.fixtures import borrowed_cluster
from testbed.kube.settings import from_environment
from testbed.kube_facility import facility_images, pod_facility_in

if TYPE_CHECKING:
    from testbed.kube_facility import PodFacility
    from tools.images.records import Record

RUNS = 20
LIMIT = 15.0
"""Seconds, for the 95th percentile."""


def login_to_lab(facility: PodFacility) -> float:
    """Log in, start the Lab and wait until it answers; return the seconds."""
    facility.clear()
    begin = time.perf_counter()
    facility.log_in("alice").start_server("small")
    return time.perf_counter() - begin


def measure() -> list[Figure]:
    """Measure twenty logins, one after the other; the first finds no volume yet."""
    with borrowed_cluster(from_environment()) as kube:

        @cache
        def loaded(name: str) -> Record:
            record = build_image(name)
            kube.load(Path(record.archive))
            return record

        namespace = f"bench-{secrets.token_hex(3)}"
        with pod_facility_in(kube, namespace, facility_images(kube, loaded)) as facility:
            seconds = sorted(login_to_lab(facility) for _ in range(RUNS))
    p95 = statistics.quantiles(seconds, n=20, method="inclusive")[-1]
    note = f"p95 of {RUNS} logins; median {statistics.median(seconds):.1f} s"
    return [
        Figure(
            "login → Lab in a pod, p95",
            (p95,),
            "s",
            "≤ 15 s",
            lambda value: value <= LIMIT,
            note=note,
        )
    ]
